"""Trainings that are killed, as a machine that goes down kills them: the same command goes on, to the same bytes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from snakemake_runs import ENVIRONMENT

from tagseg.datasets.index import ImageRecord, write_classes, write_index

pytestmark = pytest.mark.slow
COMMON = "--tags tags.csv --classes classes.txt --backbone shapes --iterations 150 --batch 2 --learning-rate 0.001"
COMMANDS = {
    "localization": f"train-localization {COMMON} --hidden 8 --size 64",
    "segmentation": f"train-segmentation {COMMON} --mask none",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five photographs of two sizes and their index."""
    rng = np.random.default_rng(0)
    records = []
    for i, (width, height) in enumerate([(90, 64), (64, 90), (90, 64), (64, 90), (90, 64)]):
        Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
        tags = (("cat", "dog")[i % 2],)
        records.append(ImageRecord(str(i), "train", Path(f"{i}.png"), width, height, tags))
    write_index(tmp_path / "tags.csv", records)
    write_classes(tmp_path / "classes.txt", ["cat", "dog"])
    return tmp_path


def start(folder: Path, line: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tagseg", *line.split()]
    return subprocess.Popen(words, cwd=folder, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_training_killed_twice_ends_in_the_bytes_of_an_unbroken_one(folder: Path, kind: str) -> None:
    whole = start(folder, f"{COMMANDS[kind]} --output whole.pt --log whole.csv")
    assert whole.wait() == 0, whole.stderr and whole.stderr.read()
    line = f"{COMMANDS[kind]} --output resumed.pt --log resumed.csv --checkpoints kept --checkpoint-every 10"
    for _ in range(2):
        before = {path: path.stat().st_mtime_ns for path in (folder / "kept").glob("*.pt")}
        killed = start(folder, line)
        deadline = time.monotonic() + 120
        while before == {path: path.stat().st_mtime_ns for path in (folder / "kept").glob("*.pt")}:
            assert killed.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
    assert not (folder / "resumed.pt").exists() and not (folder / "resumed.csv").exists()
    last = start(folder, line)
    _, told = last.communicate()
    assert last.returncode == 0, told
    assert "resuming from the checkpoint at step" in told
    for suffix in ("pt", "csv"):
        assert (folder / f"resumed.{suffix}").read_bytes() == (folder / f"whole.{suffix}").read_bytes()
    assert list((folder / "kept").iterdir()) == []


def test_a_checkpoint_is_not_used_once_the_tags_have_changed(folder: Path) -> None:
    line = f"{COMMANDS['segmentation']} --output a.pt --log a.csv --checkpoints kept --checkpoint-every 10"
    killed = start(folder, line)
    while not list((folder / "kept").glob("*.pt")):
        assert killed.poll() is None
        time.sleep(0.005)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    kept = list((folder / "kept").glob("*.pt"))
    index = folder / "tags.csv"
    index.write_text(index.read_text(encoding="utf-8").replace("dog", "cat", 1), encoding="utf-8")
    _, told = (again := start(folder, line)).communicate()
    assert again.returncode == 0, told
    assert "not used, it is of another training: tags " in told and "going on" not in told
    assert list((folder / "kept").glob("*.pt")) == kept
    shutil.rmtree(folder / "kept")
    fresh = start(folder, line.replace("a.pt", "b.pt").replace("a.csv", "b.csv"))
    assert fresh.wait() == 0
    assert (folder / "a.pt").read_bytes() == (folder / "b.pt").read_bytes()
