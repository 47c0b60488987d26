"""Photographs and label maps as files."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from tagseg.errors import TagsegError
from tagseg.labels import voc_palette
from tagseg.store import atomic

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
SMALLEST_SIDE = 32  # pixels: a trunk halves an image five times
# What Pillow raises for a file that is no image, is cut short, or is too large to be one.
UNREADABLE = (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def photographs(folder: Path) -> list[Path]:
    """The image files of a folder by name. Raises TagsegError if it is missing, or two differ in their suffix alone."""
    if not folder.is_dir():
        raise TagsegError(f"{folder}: no such folder; put the photographs there")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    stems: dict[str, Path] = {}
    for path in paths:
        if path.stem in stems:
            raise TagsegError(f"{path}: its name without suffix equals that of {stems[path.stem].name}; rename one")
        stems[path.stem] = path
    return paths


def read_image(path: Path) -> np.ndarray:
    """Photograph as (H, W, 3) uint8 RGB, turned upright by its EXIF orientation.

    Raises TagsegError naming the file if it is missing, no image, or cut short.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such image; put it there or take it out of the index") from None
    except UNREADABLE as error:
        raise TagsegError(f"{path}: not a readable image ({error}); replace it or take it out of the index") from None


def read_labels(path: Path) -> np.ndarray:
    """Label map (H, W) uint8 of an indexed or grey PNG, 255 = ignore. Raises TagsegError naming the file."""
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L"):
                raise TagsegError(f"{path}: mode {image.mode}; a mask must be an indexed or 8-bit grey PNG")
            return np.asarray(image)
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such mask; put it there or take it out of ground_truth.csv") from None
    except UNREADABLE as error:
        raise TagsegError(f"{path}: not a readable mask ({error}); replace it") from None


def read_grey(path: Path) -> np.ndarray:
    """Map (H, W) float64 in [0, 1] of a grey image of 8 or 16 bits. Raises TagsegError naming the file."""
    try:
        with Image.open(path) as image:
            if image.mode not in ("L", "I;16", "I;16B", "I"):
                raise TagsegError(f"{path}: mode {image.mode}; a map must be a grey PNG of 8 or 16 bits")
            return np.asarray(image, dtype=np.float64) / (255 if image.mode == "L" else 65535)
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such map; put it there, one ID.png for each image") from None
    except UNREADABLE as error:
        raise TagsegError(f"{path}: not a readable map ({error}); replace it") from None


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


def write_labels(path: Path, labels: np.ndarray) -> None:
    """Write a label map (H, W) uint8 as an indexed PNG with the VOC palette."""
    with atomic(path) as temporary:
        temporary.write_bytes(encode_labels(labels))


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as displayed. Decodes the file, so a broken one is found here and not hours later."""
    height, width = read_image(path).shape[:2]
    return width, height


def require_size(path: Path, width: int, height: int) -> None:
    """Raise TagsegError naming the image if a side is shorter than networks can take."""
    if min(width, height) < SMALLEST_SIDE:
        raise TagsegError(
            f"{path}: {width} x {height} pixels; a network needs {SMALLEST_SIDE} each way; enlarge it, or take it out"
        )
