"""Read photographs, and read and write label maps."""

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

from tagseg.errors import TagsegError, read_error
from tagseg.images.decoding import decoded
from tagseg.images.formats import is_photograph, is_unread, unread_line
from tagseg.images.marks import LABELS, NAME, PHOTOGRAPH, picture_of
from tagseg.images.mask_values import Foreground, labels_of_samples, samples
from tagseg.images.palette import voc_palette
from tagseg.images.resize import SMALLEST_SIDE

log = logging.getLogger(__name__)
# What Pillow raises for a file that is not an image, is truncated, or is malformed.
UNREADABLE = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, AttributeError, AssertionError,
    MemoryError, RuntimeError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip


def is_made(path: Path) -> bool:
    """Whether a file is a picture that tagseg made: a label map, overlay or figure. Working copies are photographs."""
    return picture_of(path) not in (None, PHOTOGRAPH)


def photographs(folder: Path) -> list[Path]:
    """The photographs in a folder, sorted by name, without hidden files and pictures that tagseg made.

    The log names files that may be photographs but are not read. Raises TagsegError if the folder is missing, or two
    photographs differ only in their suffix.
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
