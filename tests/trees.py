"""Small files and folders that tests make, and the errors that they expect."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tagseg.errors import TagsegError


def refused(at: Path | str, *parts: str) -> "pytest.RaisesExc[TagsegError]":
    """One line: the file (and line) first, or '' for an error of none, then all of `parts`."""
    pattern = "^" + re.escape(str(at)) + "".join(f"(?=.*{re.escape(part)})" for part in parts) + r"[^\n]*$"
    return pytest.raises(TagsegError, match=pattern)


def put_image(path: Path, width: int = 20, height: int = 12, mode: str = "RGB", **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    pixels = Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))
    pixels.convert(mode).save(path, **options)
    return path


def put_text(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def names_in(folder: Path) -> list[str]:
    """The names of all that lies in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())
