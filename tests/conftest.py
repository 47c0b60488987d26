"""Threads that do not spin, and the data beside the repository that some tests look at."""

import os
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
def vgg16_trunk() -> Path:
    """The convolutions of VGG-16, half precision, without a classifier."""
    return _beside("weights/vgg16_trunk_fp16.pth")
