"""Masks that are painted in the colours of a list of classes, as CVAT writes them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from tagseg.errors import TagsegError
from tagseg.images.files import UNREADABLE

_PAINTED = ("RGB", "RGBA")
_MODES = (*_PAINTED, "P", "L")


def labels_by_colour(path: Path, colours: Mapping[tuple[int, int, int], int]) -> np.ndarray | None:
    """Label map (H, W) uint8 of a mask whose every colour is in `colours`, which gives its label.

    None for an indexed or grey mask that has other colours: its values are indices. Raises TagsegError naming the file
    if it is missing or broken, or an RGB mask has a colour that is no class's.
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
