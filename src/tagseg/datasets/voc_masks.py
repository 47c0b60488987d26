"""Truth masks of a tree in VOC's form: indexed PNG files, PNG files in a list's colours, or SBD's .mat files."""

from pathlib import Path

import numpy as np

from tagseg.config.data import VocData
from tagseg.datasets import sbd
from tagseg.datasets.class_names import LABELMAP, ClassNames
from tagseg.datasets.colours import labels_by_colour
from tagseg.errors import TagsegError
from tagseg.images.files import read_labels
from tagseg.images.palette import IGNORE


def mask_path(data: VocData, name: str) -> Path:
    """Where the PNG mask of an image lies."""
    return data.root / data.masks / f"{name}.png"


def read_mask(data: VocData, classes: ClassNames, name: str) -> np.ndarray:
    """The mask (H, W) uint8 of an image. Raises TagsegError if there is none, or it has other labels."""
    path, mask = _read(data, classes, name)
    if mask is None:
        raise TagsegError(
            f"{path}: no such mask; add it, take the image out of the list, or set data.tags to annotations"
        )
    return _checked(path, mask, classes)


def read_listed(data: VocData, classes: ClassNames, name: str, split: str) -> np.ndarray:
    """The mask (H, W) uint8 of an image of a list, whatever its labels. Raises TagsegError if there is none."""
    path, mask = _read(data, classes, name)
    if mask is None:
        raise TagsegError(f"{path}: no such mask; put it there, or take the image out of the list {split}")
    return mask


def _read(data: VocData, classes: ClassNames, name: str) -> tuple[Path, np.ndarray | None]:
    """The file that an image's mask is read from, and the mask; None if there is no such file."""
    path = mask_path(data, name)
    if path.is_file():
        found = painted(path, classes)
        return path, read_labels(path) if found is None else found
    if data.sbd:
        path = sbd.mask_path(Path(data.sbd), name)
        return path, sbd.read_mask(path)
    return path, None


def painted(path: Path, classes: ClassNames) -> np.ndarray | None:
    """Label map (H, W) uint8 of a mask in the classes' colours; None if it holds indices."""
    found = labels_by_colour(path, classes.colours) if classes.colours else None
    if found is None and not classes.indexed:
        raise TagsegError(
            f"{path}: not in the colours of {LABELMAP}, and what its indices mean is open, since the background is not "
            "the first there; put it first"
        )
    return found


def _checked(path: Path, mask: np.ndarray, classes: ClassNames) -> np.ndarray:
    count = len(classes.names)
    unknown = [label for label in np.unique(mask) if count < label < IGNORE]
    if unknown:
        there = f"there are {count} classes" if count > 1 else "there is 1 class"
        hint = f"add the class to {classes.source}" if classes.source else "set data.classes to your own"
        raise TagsegError(f"{path}: label {unknown[0]}, but {there}; fix the mask, or {hint}")
    return mask
