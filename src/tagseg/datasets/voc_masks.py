"""Read truth masks of a tree in VOC's format: indexed PNG, PNG painted in the classes' colours, or SBD's .mat files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from tagseg.config.data import VocData
from tagseg.datasets import sbd
from tagseg.datasets.voc_classes import LABELMAP, ClassNames
from tagseg.errors import TagsegError
from tagseg.images.files import UNREADABLE, read_labels
from tagseg.images.palette import IGNORE

_PAINTED = ("RGB", "RGBA")
_MODES = (*_PAINTED, "P", "L")


def mask_path(data: VocData, name: str) -> Path:
    """The PNG mask of an image."""
    return data.root / data.masks / f"{name}.png"


def read_mask(data: VocData, classes: ClassNames, name: str) -> np.ndarray:
    """The mask (H, W) uint8 of an image. Raises TagsegError if it is missing, or has a label beyond the classes."""
    path, mask = _read(data, classes, name)
    if mask is None:
        raise TagsegError(
            f"{path}: no such mask; add it, take the image out of the list, or set data.tags to annotations"
        )
    return _checked(path, mask, classes)


def read_listed(data: VocData, classes: ClassNames, name: str, split: str) -> np.ndarray:
    """The mask (H, W) uint8 of an image in a list, whatever its labels. Raises TagsegError if it is missing."""
    path, mask = _read(data, classes, name)
    if mask is None:
        raise TagsegError(f"{path}: no such mask; put it there, or take the image out of the list {split}")
    return mask


def _read(data: VocData, classes: ClassNames, name: str) -> tuple[Path, np.ndarray | None]:
    """The file of an image's mask, and the mask; None if there is no such file."""
    path = mask_path(data, name)
    if path.is_file():
        found = painted(path, classes)
        return path, read_labels(path) if found is None else found
    if data.sbd:
        path = sbd.mask_path(Path(data.sbd), name)
        return path, sbd.read_mask(path)
    return path, None


def painted(path: Path, classes: ClassNames) -> np.ndarray | None:
    """Label map (H, W) uint8 of a mask in the classes' colours; None if it is indexed.

    Raises TagsegError if it is indexed, but its indices are not known to be labels.
    """
    found = labels_by_colour(path, classes.colours) if classes.colours else None
    if found is None and not classes.indexed:
        raise TagsegError(
            f"{path}: not in the colours of {LABELMAP}, and what its indices mean is unknown, since the background is "
            "not listed first there; put it first"
        )
    return found


def labels_by_colour(path: Path, colours: Mapping[tuple[int, int, int], int]) -> np.ndarray | None:
    """Label map (H, W) uint8 of a mask whose colours are all in `colours`, which gives the label of each.

    None for an indexed or grey mask with other colours: its values are indices. Raises TagsegError naming the file if
    it is missing or broken, or an RGB mask has a colour of no class.
    """
    try:
        with Image.open(path) as image:
            mode = image.mode
            if mode not in _MODES:
                return None
            pixels = np.asarray(image.convert("RGB"), dtype=np.int32)
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such mask; put it there, or take the image out of the list") from None
    except UNREADABLE as error:
        raise TagsegError(f"{path}: not a readable mask ({error}); replace it") from None
    packed = (pixels[..., 0] << 16) | (pixels[..., 1] << 8) | pixels[..., 2]
    used, places = np.unique(packed, return_inverse=True)
    labels = np.zeros(len(used), dtype=np.uint8)
    for i, code in enumerate(used.tolist()):
        colour = (code >> 16, code >> 8 & 255, code & 255)
        if colour not in colours:
            if mode in _PAINTED:
                raise TagsegError(
                    f"{path}: colour {','.join(map(str, colour))} is of no class; add it to the list of classes, or "
                    "save the mask as PNG without smoothing"
                )
            return None
        labels[i] = colours[colour]
    return labels[places].reshape(packed.shape)


def _checked(path: Path, mask: np.ndarray, classes: ClassNames) -> np.ndarray:
    count = len(classes.names)
    unknown = [label for label in np.unique(mask) if count < label < IGNORE]
    if unknown:
        there = f"there are {count} classes" if count > 1 else "there is 1 class"
        hint = f"add the class to {classes.source}" if classes.source else "set data.classes to your own"
        raise TagsegError(f"{path}: label {unknown[0]}, but {there}; fix the mask, or {hint}")
    return mask
