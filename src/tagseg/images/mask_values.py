"""From the samples of a mask's file to labels, however a program wrote them, or a line on why they are not labels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tagseg.errors import TagsegError
from tagseg.images.palette import IGNORE

_DEPTH_AT = 24  # offset of the byte of a PNG file that holds the bits of a sample
_SCALED = {2: 85, 4: 17}  # Pillow scales grey samples of so few bits to 0..255: factor by bits
_FEW = 4  # most colours or values in a message
_WANTED = "a mask must be an indexed or 8-bit grey PNG"


@dataclass(frozen=True)
class Foreground:
    """The meaning of a mask with two values: pixels of `value` are of class `label`, pixels of 0 are background.

    Label 0 means that the class is unknown; then the mask may have no pixel of `value`.
    """

    value: int
    label: int

    def __str__(self) -> str:
        return f"{self.value}:{self.label}"

    @classmethod
    def parse(cls, text: str) -> "Foreground":
        """Parse what `str` gives. Raises ValueError for any other text."""
        value, label = text.split(":")
        return cls(int(value), int(label))


def samples(path: Path, image: Image.Image) -> np.ndarray:
    """The samples of an opened mask as stored in its file: (H, W) uint8, or uint16 if they have 16 bits.

    Indexed: the indices, whatever the palette. Grey: the values, of 1, 2, 4, 8 or 16 bits. RGB is accepted if all three
    channels are equal and nothing is transparent: such a file is grey. Raises TagsegError for all others, naming the
    first colours.
    """
    if image.format != "PNG":
        raise TagsegError(f"{path}: a {image.format} file; {_WANTED}, which keeps every label as it is")
    if image.mode == "P":
        return np.asarray(image)
    depth = _depth(path)
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    if image.mode == "L":
        return np.asarray(image) // np.uint8(_SCALED.get(depth, 1))
    if image.mode.startswith("I"):
        return np.asarray(image).astype(np.uint16)
    if depth > 8:  # Pillow would keep the upper half only
        raise TagsegError(f"{path}: mode {image.mode} of {depth} bits a channel; {_WANTED}, {_NUMBERED}")
    channels = np.asarray(image.convert("RGBA"))
    if (channels[..., 3] < 255).any():
        raise TagsegError(f"{path}: mode {image.mode}, transparent in part; {_WANTED}, {_NUMBERED}")
    red = channels[..., 0]
    if (red == channels[..., 1]).all() and (red == channels[..., 2]).all():
        return red
    raise TagsegError(f"{path}: mode {image.mode}, with colours {_colours(channels)}; {_WANTED}, {_NUMBERED}")


_NUMBERED = "with the number of its class in each pixel, 0 for background (docs/photographs.md says how to convert it)"


def labels_of_samples(path: Path, values: np.ndarray, foreground: Foreground | None) -> np.ndarray:
    """The label map (H, W) uint8, with 255 for ignored pixels, of a mask's samples (H, W) uint8 or uint16.

    Without `foreground` the samples are labels. Raises TagsegError naming the file if a sample is not a label.
    """
    if foreground is None:
        if values.max(initial=0) > IGNORE:
            found = _some(np.unique(values[values > IGNORE]))
            raise TagsegError(
                f"{path}: values {found} of 16 bits; a label is 255 at most; number the classes 1, 2, ..."
            )
        return values.astype(np.uint8)
    seen = values == foreground.value
    others = np.unique(values[~seen & (values != 0) & (values != IGNORE)])
    if others.size:
        raise TagsegError(
            f"{path}: values {_some(others)}, where data.foreground says that a mask has 0 and {foreground.value} "
            "alone; draw the mask without smooth edges, or set data.foreground to 0 if these are labels"
        )
    if seen.any() and not foreground.label:
        raise TagsegError(
            f"{path}: pixels of {foreground.value}, but its photograph does not have exactly one tag to tell their "
            "class; draw a mask with labels, or take this one out of the folder"
        )
    labels = np.where(values == IGNORE, IGNORE, 0).astype(np.uint8)
    labels[seen] = foreground.label
    return labels


def _depth(path: Path) -> int:
    """Bits per sample by the header of a PNG file."""
    with path.open("rb") as file:
        return file.read(_DEPTH_AT + 1)[_DEPTH_AT]


def _colours(channels: np.ndarray) -> str:
    red, green, blue = (channels[..., i].astype(np.uint32) for i in range(3))
    found = np.unique(red << 16 | green << 8 | blue)
    shown = ", ".join(f"({c >> 16}, {c >> 8 & 255}, {c & 255})" for c in found[:_FEW].tolist())
    return shown + (f" and {len(found) - _FEW} more" if len(found) > _FEW else "")


def _some(values: np.ndarray) -> str:
    shown = ", ".join(map(str, values[:_FEW].tolist()))
    return shown + (f" and {len(values) - _FEW} more" if len(values) > _FEW else "")
