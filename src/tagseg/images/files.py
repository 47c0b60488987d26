"""Read photographs, and read and write label maps."""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tagseg.errors import TagsegError, read_error
from tagseg.images.decoding import decoded
from tagseg.images.marks import LABELS, NAME, PHOTOGRAPH, jpeg_comment, picture_of
from tagseg.images.mask_values import Foreground, labels_of_samples, samples
from tagseg.images.palette import voc_palette
from tagseg.images.resize import SMALLEST_SIDE

LONGEST_JPEG = 65_500  # pixels of a side: the format has no room for more
# What Pillow raises for a file that is not an image, is truncated, or is malformed.
UNREADABLE = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, AttributeError, AssertionError,
    MemoryError, RuntimeError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip


def is_made(path: Path) -> bool:
    """Whether a file is a picture that tagseg made: a label map, overlay or figure. Working copies are photographs."""
    return picture_of(path) not in (None, PHOTOGRAPH)


def read_image(path: Path) -> np.ndarray:
    """A photograph as (H, W, 3) uint8 RGB in 0..255, turned upright by its EXIF orientation (see `decoding`).

    Raises TagsegError naming the file if it is missing, not an image, truncated, or has far too many pixels, or more
    than 8 bits of grey.
    """
    return np.asarray(decoded(path)[0])


def read_labels(path: Path, foreground: Foreground | None = None) -> np.ndarray:
    """The label map (H, W) uint8 of an indexed or grey PNG: 0 background, 1..N-1 classes, 255 ignored.

    `foreground` says what the pixels of a mask with two values mean; without it, they are labels. Raises TagsegError
    naming the file if it is missing, unreadable, or does not hold labels.
    """
    with _opened_mask(path) as image:
        return labels_of_samples(path, samples(path, image), foreground)


def mask_size(path: Path) -> tuple[int, int]:
    """(width, height) of a mask in pixels, read from its header. Raises TagsegError naming an unreadable file."""
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
        raise read_error(error, path) or TagsegError(f"{path}: not a readable mask ({error}); replace it") from None


def png_info(kind: str) -> PngInfo:
    """The PNG text chunk that marks a picture of this kind as made by tagseg (see `tagseg.images.marks`)."""
    info = PngInfo()
    info.add_text(NAME, kind)
    return info


def encode_labels(labels: np.ndarray, **texts: str) -> bytes:
    """Encode a label map (H, W) uint8 as an indexed PNG with the VOC palette; `texts` are its text chunks by name."""
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(voc_palette().tobytes())
    content = io.BytesIO()
    image.save(content, format="PNG", pnginfo=info)
    return content.getvalue()


def write_labels(path: Path, labels: np.ndarray, kind: str = LABELS) -> None:
    """Write a label map (H, W) uint8 as an indexed PNG with the VOC palette and tagseg's mark. Not atomic."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_labels(labels, **{NAME: kind}))


def write_jpeg(path: Path, image: Image.Image, kind: str = PHOTOGRAPH, quality: int = 95) -> None:
    """Write a picture of at most `LONGEST_JPEG` pixels a side, with tagseg's mark and full colours. Not atomic."""
    image.save(path, "JPEG", quality=quality, subsampling=0, comment=jpeg_comment(kind))


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of a photograph in pixels, as displayed. The file is decoded, so that a broken one is found now.

    Every byte of a JPEG is read, but its pixels are decoded at an eighth of the size. Raises TagsegError as
    `read_image` does.
    """
    return decoded(path, reduced=True)[1]


def require_size(path: Path, width: int, height: int) -> None:
    """Raise TagsegError naming the image if a side, in pixels, is too short for networks."""
    if min(width, height) < SMALLEST_SIDE:
        raise TagsegError(
            f"{path}: {width} x {height} pixels; a network needs {SMALLEST_SIDE} each way; enlarge it, or take it out"
        )
