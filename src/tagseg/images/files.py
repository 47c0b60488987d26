"""Photographs and label maps as files."""

import io
import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tagseg.errors import TagsegError, barred
from tagseg.images.decoding import decoded
from tagseg.images.formats import is_photograph, is_unread, unread_line
from tagseg.images.marks import LABELS, NAME, PHOTOGRAPH, picture_of
from tagseg.images.mask_values import Foreground, labels_of_samples, samples
from tagseg.images.palette import voc_palette

log = logging.getLogger(__name__)
SMALLEST_SIDE = 32  # pixels: a trunk halves an image five times
# What Pillow raises for a mask that is no image, is cut short, or has nonsense in it.
UNREADABLE = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, AttributeError, AssertionError,
    MemoryError, RuntimeError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip


def is_made(path: Path) -> bool:
    """Whether a file is a picture that tagseg made: label map, overlay, figure. Working copies are photographs."""
    return picture_of(path) not in (None, PHOTOGRAPH)


def photographs(folder: Path) -> list[Path]:
    """The photographs of a folder by name, but for hidden ones and pictures that tagseg made.

    The log names what may be a photograph and is not read. Raises TagsegError if the folder is missing, or two
    photographs differ in their suffix alone.
    """
    if not folder.is_dir():
        raise TagsegError(f"{folder}: no such folder; put the photographs there")
    files = sorted(folder.iterdir())
    paths = [path for path in files if is_photograph(path.name)]
    made = [path for path in paths if is_made(path)]
    if made:
        log.warning("%s: %d pictures that tagseg made are passed over: %s, ...", folder, len(made), made[0].name)
    paths = [path for path in paths if path not in set(made)]
    unread = [path.name for path in files if is_unread(path.name) and path.is_file()]
    if unread:
        log.warning("%s: %s", folder, unread_line(unread))
    stems: dict[str, Path] = {}
    for path in paths:
        if path.stem in stems:
            raise TagsegError(f"{path}: its name without suffix equals that of {stems[path.stem].name}; rename one")
        stems[path.stem] = path
    return paths


def read_image(path: Path) -> np.ndarray:
    """Photograph as (H, W, 3) uint8 RGB, turned upright by its EXIF orientation; `decoding` says how.

    Raises TagsegError naming the file if it is missing, no image, cut short, or has far too many pixels, or more than 8
    bits of grey.
    """
    return np.asarray(decoded(path)[0])


def read_labels(path: Path, foreground: Foreground | None = None) -> np.ndarray:
    """Label map (H, W) uint8 of an indexed or grey PNG, 255 = ignore. Raises TagsegError naming the file.

    `foreground` says what the pixels of a mask in two values are; without it, they are the labels.
    """
    with _opened_mask(path) as image:
        return labels_of_samples(path, samples(path, image), foreground)


def mask_size(path: Path) -> tuple[int, int]:
    """Width and height of a mask in pixels, read from its header alone. Raises TagsegError naming the file."""
    with _opened_mask(path) as image:
        return image.size


@contextmanager
def _opened_mask(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such mask; put it there or take it out of ground_truth.csv") from None
    except Image.DecompressionBombError as error:
        raise TagsegError(f"{path}: not a readable mask ({error}); scale it down with its photograph") from None
    except UNREADABLE as error:
        raise barred(error, path) or TagsegError(f"{path}: not a readable mask ({error}); replace it") from None


def noted(kind: str) -> PngInfo:
    """The text chunk that marks a PNG as a picture of tagseg's, of this kind (`tagseg.images.marks`)."""
    info = PngInfo()
    info.add_text(NAME, kind)
    return info


def encode_labels(labels: np.ndarray, **notes: str) -> bytes:
    """A label map (H, W) uint8 as the content of an indexed PNG with the VOC palette; `notes` are its text chunks."""
    info = PngInfo()
    for name, text in notes.items():
        info.add_text(name, text)
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(voc_palette().tobytes())
    content = io.BytesIO()
    image.save(content, format="PNG", pnginfo=info)
    return content.getvalue()


def write_labels(path: Path, labels: np.ndarray, kind: str = LABELS) -> None:
    """Write a label map (H, W) uint8 as an indexed PNG with the VOC palette, marked as tagseg's. Not atomic."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_labels(labels, **{NAME: kind}))


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as displayed. Decodes the file, so a broken one is found here and not hours later.

    A JPEG's every byte is read, but its pixels are made at an eighth of the size. Raises TagsegError as `read_image`.
    """
    return decoded(path, reduced=True)[1]


def require_size(path: Path, width: int, height: int) -> None:
    """Raise TagsegError naming the image if a side is shorter than networks can take."""
    if min(width, height) < SMALLEST_SIDE:
        raise TagsegError(
            f"{path}: {width} x {height} pixels; a network needs {SMALLEST_SIDE} each way; enlarge it, or take it out"
        )
