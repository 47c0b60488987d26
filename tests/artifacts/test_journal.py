"""Shards that are killed in the making: what is done stays done, and the bytes are those of an unbroken run."""

import logging
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from snakemake_runs import ENVIRONMENT

from tagseg.artifacts.journal import Journal
from tagseg.artifacts.shards import Shard, write_shard

IDS = [f"i{k}" for k in range(40)]
STAMPS = dict.fromkeys(IDS, "as it was")


def arrays(image_id: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(int(image_id[1:]))
    return {
        "maps": rng.random((3, 40, 50)).astype(np.float16),
        "labels": np.arange(int(image_id[1:]) % 4, dtype=np.uint8),
    }


def write(
    path: Path,
    stop: int = len(IDS),
    stamps: dict[str, str] = STAMPS,
    parameters: dict[str, object] | None = None,
    inputs: tuple[Path, ...] = (),
) -> list[str]:
    """Write the shard, up to `stop` images; which images were made."""
    made = []
    with write_shard(path, "labels", parameters or {}, stamps, inputs) as writer:
        for image_id in stamps:
            if image_id not in writer.done:
                if len(made) == stop:
                    raise KeyboardInterrupt
                made.append(image_id)
                writer.put(image_id, arrays(image_id))
    return made


def broken_off(path: Path, stop: int, **changes: object) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(path, stop, **changes)  # type: ignore[arg-type]


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    write(tmp_path / "whole.h5")
    return (tmp_path / "whole.h5").read_bytes()


def left_in(folder: Path) -> list[Path]:
    return sorted(folder.glob(".*"))


def test_what_was_done_is_not_made_again(tmp_path: Path, whole: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "0.h5"
    broken_off(path, 7)
    broken_off(path, 5)
    assert not path.exists() and len(left_in(tmp_path)) == 2
    caplog.set_level(logging.INFO)
    assert write(path) == IDS[12:]
    assert "0.h5: resuming, 12 of 40 images are done" in caplog.text
    assert path.read_bytes() == whole and left_in(tmp_path) == []


def test_the_order_of_the_images_is_the_shard_s_own(tmp_path: Path, whole: bytes) -> None:
    with write_shard(tmp_path / "0.h5", "labels", {}, STAMPS) as writer:
        for image_id in reversed(IDS):
            writer.put(image_id, arrays(image_id))
    assert (tmp_path / "0.h5").read_bytes() == whole


@pytest.mark.parametrize("change", ["parameters", "kind", "input", "images"])
def test_what_is_of_another_shard_is_left_aside_with_a_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    path, source = tmp_path / "0.h5", tmp_path / "source.h5"
    source.write_text("one")
    broken_off(path, 9, parameters={"weight": 3}, inputs=(source,))
    stamps, parameters, kind = STAMPS, {"weight": 3}, "labels"
    if change == "parameters":
        parameters = {"weight": 4}
    elif change == "kind":
        kind = "scores"
    elif change == "input":
        source.write_text("two")
    else:
        stamps = dict.fromkeys(IDS[:-1], "as it was")
    with write_shard(path, kind, parameters, stamps, [source]) as writer:
        assert writer.done == frozenset()
        writer.put("i0", arrays("i0"))
    key = {"input": "inputs"}.get(change, change)
    assert ".journal: not used, it is of another shard: " in caplog.text and f"{key} " in caplog.text
    if change == "parameters":
        assert "parameters {'weight': 3} there and {'weight': 4} here" in caplog.text
    assert left_in(tmp_path) == []


def test_an_image_that_has_changed_is_made_again(tmp_path: Path, whole: bytes) -> None:
    broken_off(tmp_path / "0.h5", 9)
    assert write(tmp_path / "0.h5", stamps={**STAMPS, "i4": "as it is"}) == ["i4", *IDS[9:]]
    assert (tmp_path / "0.h5").read_bytes() == whole


@pytest.mark.parametrize("kept", [0.999, 0.5, 0.001])
def test_a_torn_journal_ends_at_its_last_whole_image(tmp_path: Path, whole: bytes, kept: float) -> None:
    broken_off(tmp_path / "0.h5", 9)
    (journal,) = left_in(tmp_path)
    content = journal.read_bytes()
    journal.write_bytes(content[: int(len(content) * kept)])
    made = write(tmp_path / "0.h5")
    assert made == IDS[{0.999: 8, 0.5: 4, 0.001: 0}[kept] :]
    assert (tmp_path / "0.h5").read_bytes() == whole


def test_a_spoilt_journal_ends_before_the_fault(tmp_path: Path, whole: bytes) -> None:
    broken_off(tmp_path / "0.h5", 9)
    (journal,) = left_in(tmp_path)
    content = bytearray(journal.read_bytes())
    content[len(content) // 2] ^= 255
    journal.write_bytes(content)
    assert write(tmp_path / "0.h5") == IDS[4:]
    assert (tmp_path / "0.h5").read_bytes() == whole


def test_two_runs_at_once_do_not_disturb_each_other(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "0.h5"
    with write_shard(path, "labels", {}, STAMPS) as slow:
        for image_id in IDS[:20]:
            slow.put(image_id, arrays(image_id))
        assert write(path) == IDS[20:]  # the other takes over what there is, and ends first
        assert path.read_bytes() == whole and left_in(tmp_path) == []
        for image_id in IDS[20:]:
            slow.put(image_id, arrays(image_id))
    assert path.read_bytes() == whole and left_in(tmp_path) == []


def test_without_stamps_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), write_shard(tmp_path / "0.h5", "labels", {}) as writer:
        writer.put("i0", arrays("i0"))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_arrays_come_back_as_they_were(tmp_path: Path, whole: bytes) -> None:
    with Shard(tmp_path / "whole.h5", "labels") as shard:
        for image_id in IDS:
            for name, array in arrays(image_id).items():
                found = shard.get(image_id, name)
                assert found.dtype == array.dtype
                np.testing.assert_array_equal(found, array)


SCRIPT = """
import sys, time
from pathlib import Path
from test_journal import STAMPS, arrays
from tagseg.artifacts.shards import write_shard
print("ready", flush=True)
with write_shard(Path(sys.argv[1]), "labels", {}, STAMPS) as writer:
    for image_id in STAMPS:
        if image_id not in writer.done:
            time.sleep(0.002)
            writer.put(image_id, arrays(image_id))
"""


def test_kills_at_any_moment_end_in_the_same_bytes(tmp_path: Path, whole: bytes) -> None:
    chance = random.Random(0)
    path = tmp_path / "0.h5"
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    kills = 0
    while True:
        writer = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(path)], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
        if kills < 12:
            time.sleep(chance.uniform(0, 0.04))
        else:
            writer.wait()
        if writer.poll() is None:
            os.kill(writer.pid, signal.SIGKILL)
            kills += 1
        if writer.wait() == 0:
            break
    assert kills >= 5, "the shard was whole before it could be killed: kill earlier"
    assert path.read_bytes() == whole and left_in(tmp_path) == []


def test_arrays_that_are_not_deflated_resume_and_read_as_others(tmp_path: Path) -> None:
    plain, whole = tmp_path / "plain.h5", tmp_path / "whole.h5"
    for path, stops in ((plain, (7, len(IDS))), (whole, (len(IDS),))):
        for stop in stops:
            with suppress(KeyboardInterrupt), write_shard(path, "labels", {}, STAMPS) as writer:
                for made, record in enumerate(i for i in IDS if i not in writer.done):
                    if made == stop:
                        raise KeyboardInterrupt
                    writer.put(record, arrays(record), deflate=False)
    assert plain.read_bytes() == whole.read_bytes()
    with Shard(plain, "labels") as shard:
        for image_id in IDS:
            for name, values in arrays(image_id).items():
                np.testing.assert_array_equal(shard.get(image_id, name), values)


def test_a_journal_of_an_earlier_version_is_taken_up(
    tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not say whether arrays are deflated: all were."""
    append = Journal._append

    def older(file: BinaryIO, head: dict[str, Any], body: bytes) -> int:
        if "arrays" in head:
            head["arrays"] = [entry[:4] for entry in head["arrays"]]
        return append(file, head, body)

    with monkeypatch.context() as earlier:
        earlier.setattr(Journal, "_append", staticmethod(older))
        broken_off(tmp_path / "a.h5", 9)
    assert len(write(tmp_path / "a.h5")) == len(IDS) - 9
    assert (tmp_path / "a.h5").read_bytes() == whole
