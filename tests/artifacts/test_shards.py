"""Shards: what is put is what is read, in equal bytes; broken and foreign files are one line."""

import re
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from trees import names_in, refused

from tagseg import __version__
from tagseg.artifacts.shard_sets import ShardSet
from tagseg.artifacts.shards import Shard, write_shard
from tagseg.errors import TagsegError

MASK = np.arange(12, dtype=np.uint8).reshape(3, 4)
MAPS = np.linspace(0, 1, 24).reshape(2, 3, 4).astype(np.float16)


def write(path: Path, kind: str = "labels", ids: tuple[str, ...] = ("b", "a"), **parameters: object) -> Path:
    with write_shard(path, kind, parameters) as writer:
        for image_id in ids:
            writer.put(image_id, {"labels": MASK, "maps": MAPS})
    return path


def test_an_error_in_the_middle_of_a_shard_leaves_the_old_one(tmp_path: Path) -> None:
    path = write(tmp_path / "0.h5")
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), write_shard(path, "labels", {}) as writer:
        writer.put("c", {"labels": MASK})
        raise KeyboardInterrupt
    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["0.h5"]


def test_a_shard_gives_back_what_was_put(tmp_path: Path) -> None:
    with Shard(write(tmp_path / "0.h5"), "labels") as shard:
        for image_id in ("a", "b"):
            assert image_id in shard
            for name, array in (("labels", MASK), ("maps", MAPS)):
                got = shard.get(image_id, name)
                np.testing.assert_array_equal(got, array)
                assert got.dtype == array.dtype
        assert "c" not in shard
        assert shard.kind == "labels"


def test_a_shard_carries_its_parameters_and_version(tmp_path: Path) -> None:
    with h5py.File(write(tmp_path / "0.h5", "labels", beta=2, alpha=0.5)) as file:
        assert file.attrs["parameters"] == '{"alpha": 0.5, "beta": 2}'
        assert file.attrs["tagseg"] == __version__


def test_an_empty_array_and_an_empty_shard_can_be_written(tmp_path: Path) -> None:
    with write_shard(tmp_path / "0.h5", "cams", {}) as writer:
        writer.put("a", {"cams": np.zeros((0, 3, 4), dtype=np.float16)})
    with Shard(tmp_path / "0.h5", "cams") as shard:
        assert shard.get("a", "cams").shape == (0, 3, 4)
    write(tmp_path / "1.h5", ids=())
    with Shard(tmp_path / "1.h5", "labels") as shard:
        assert "a" not in shard


def test_equal_content_gives_equal_bytes_a_second_later(tmp_path: Path) -> None:
    first = write(tmp_path / "first.h5", gamma=1).read_bytes()
    time.sleep(1.1)
    assert write(tmp_path / "elsewhere" / "second.h5", gamma=1).read_bytes() == first
    assert write(tmp_path / "other.h5", gamma=2).read_bytes() != first


def test_one_of_several_kinds_is_taken_and_told(tmp_path: Path) -> None:
    with Shard(write(tmp_path / "0.h5", "scores"), ("probabilities", "scores")) as shard:
        assert shard.kind == "scores"


def test_a_missing_shard_names_the_file_and_how_to_make_it(tmp_path: Path) -> None:
    path = tmp_path / "0.h5"
    with refused(path, "no such file", f"snakemake {path}"):
        Shard(path, "labels")


def test_a_shard_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "0.h5", "cams")
    with refused(path, "holds cams", "labels is needed"):
        Shard(path, "labels")
    with refused(path, "holds cams", "labels or scores is needed"):
        Shard(path, ("labels", "scores"))


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all" * 100])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "0.h5"
    path.write_bytes(content)
    with refused(path, "not a whole tagseg HDF5 file", "make it again (snakemake --force "):
        Shard(path, "labels")


@pytest.mark.parametrize("part", [0.3, 0.9])
def test_a_truncated_shard_is_refused(tmp_path: Path, part: float) -> None:
    path = write(tmp_path / "0.h5")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with refused(path, "not a whole tagseg HDF5 file", "make it again (snakemake --force "):
        Shard(path, "labels")


def test_hdf5_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "0.h5"
    with h5py.File(path, "w") as file:
        file["a"] = MASK
    with refused(path, "not a tagseg HDF5 file"):
        Shard(path, "labels")


def test_a_spoiled_array_names_file_and_image(tmp_path: Path) -> None:
    path = tmp_path / "0.h5"
    noise = np.random.default_rng(0).integers(0, 255, (40, 50), dtype=np.uint8)
    with write_shard(path, "labels", {}) as writer:
        writer.put("a", {"labels": noise})
    with h5py.File(path) as file:
        chunk = file["a/labels"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xff" * chunk.size
    path.write_bytes(bytes(content))
    with Shard(path, "labels") as shard, refused(path, "labels of image 'a'", "make it again (snakemake --force "):
        shard.get("a", "labels")


def test_an_image_or_array_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "0.h5")
    with Shard(path, "labels") as shard:
        with refused(path, "labels of image 'zebra'"):
            shard.get("zebra", "labels")
        with refused(path, "cams of image 'a'"):
            shard.get("a", "cams")


def test_several_shards_read_as_one(tmp_path: Path) -> None:
    paths = [write(tmp_path / "0.h5", ids=("a",)), write(tmp_path / "1.h5", ids=("b",))]
    shards = ShardSet(paths, "labels")
    for image_id in ("a", "b"):
        np.testing.assert_array_equal(shards.get(image_id, "labels"), MASK)
    with pytest.raises(TagsegError, match=re.escape(f"image 'c' is in none of {paths[0]}, {paths[1]}")):
        shards.get("c", "labels")


def test_reading_image_after_image_keeps_little_in_memory(tmp_path: Path) -> None:
    """HDF5 by itself remembers 35 KB of each: 70 MB here."""
    paths = [tmp_path / f"{shard}.h5" for shard in range(4)]
    for path in paths:
        with write_shard(path, "labels", {}) as writer:
            for i in range(500):
                writer.put(f"{path.stem}-{i}", {"labels": np.zeros((4, 4), dtype=np.uint8)})
    code = (
        "import sys\nfrom pathlib import Path\nfrom tagseg.artifacts.shard_sets import ShardSet\n"
        "shards = ShardSet([Path(name) for name in sys.argv[1:]], 'labels')\n"
        "def held():\n    return int(Path('/proc/self/statm').read_text().split()[1]) * 4096\n"
        "for i in range(500):\n"
        "    for k in range(4):\n        shards.get(f'{k}-{i}', 'labels')\n"
        "    if i == 50:\n        start = held()\n"
        "print(held() - start)\n"
    )
    command = [sys.executable, "-c", code, *map(str, paths)]
    grown = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert grown < 10 * 2**20
