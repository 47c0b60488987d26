"""Threads that do not spin, the command line's errors, and the data beside the repository that some tests look at."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

_SHARED = Path(__file__).parents[2] / "shared"


def _beside(name: str) -> Path:
    path = _SHARED / name
    if not path.exists():
        pytest.skip(f"shared/{name} is not beside the repository")
    return path


@pytest.fixture
def voc_mini() -> Path:
    """The devkit tree of 142 VOC images."""
    return _beside("data/voc_mini") / "VOCdevkit" / "VOC2012"


@pytest.fixture
def coco_mini() -> Path:
    """A hundred photographs of COCO in train2014/, their annotations in annotations/."""
    return _beside("data/coco_mini")


@pytest.fixture
def bsds_mini() -> Path:
    """Twenty photographs of BSDS500 in images/, their annotations in groundTruth/."""
    return _beside("data/bsds_mini")


@pytest.fixture
def crisp_reference() -> Path:
    """What the authors' public code gives for photograph 101027 of BSDS500, stage by stage."""
    return _beside("reference/crisp")


@pytest.fixture
def vgg16_trunk() -> Path:
    """The convolutions of VGG-16, half precision, without a classifier."""
    return _beside("weights/vgg16_trunk_fp16.pth")


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """Run a command as from the shell; it must end with status 2 and one line, which is returned."""
    from tagseg import cli  # after the threads are set

    def run(line: str) -> str:
        monkeypatch.setattr(sys, "argv", ["tagseg", *line.split()])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capfd.readouterr()
        assert end.value.code == 2
        lines = [text for text in err.splitlines() if "tagseg: " in text]
        assert len(lines) == 1 and lines[0].startswith("tagseg: ") and out == ""
        assert err.rstrip("\n").endswith(lines[0]) and "Traceback" not in err
        return lines[0].removeprefix("tagseg: ")

    return run
