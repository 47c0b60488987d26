"""A label map over its photograph: colours, outlines, and a legend of the classes."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tagseg.labels import IGNORE, voc_palette

_STRENGTH = 0.5  # of the colours against the photograph
_NARROWEST = 160  # pixels: a legend needs room for a name


def overlay(image: np.ndarray, labels: np.ndarray, classes: list[str]) -> np.ndarray:
    """`image` (H, W, 3) uint8 under the colours of `labels` (H, W) uint8, and a strip with the names of its classes.

    The picture is as wide as the image, or a little wider if that is very narrow, and as much higher as the strip is:
    (H', W', 3) uint8. Background is left as it is; outlines are white.
    """
    pixels = painted(image, labels)
    found = [int(label) for label in np.flatnonzero(np.bincount(labels.ravel())) if label not in (0, IGNORE)]
    return _with_legend(pixels, [(label, classes[label]) for label in found])


def painted(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`image` (H, W, 3) uint8 under the colours of `labels` (H, W) uint8, outlines white: the same shape."""
    photograph, colours = Image.fromarray(image), Image.fromarray(labels)
    colours.putpalette(voc_palette().tobytes())
    inside = Image.fromarray(((labels != 0) * np.uint8(255)).astype(np.uint8))
    mixed = Image.blend(photograph, colours.convert("RGB"), _STRENGTH)
    pixels = np.array(Image.composite(mixed, photograph, inside))
    pixels[outlines(labels, max(1, min(labels.shape) // 250))] = 255
    return pixels


def outlines(labels: np.ndarray, width: int = 1) -> np.ndarray:
    """Where a label ends: (H, W) bool, `width` pixels on the upper and left side of each border."""
    edge = np.zeros(labels.shape, dtype=bool)
    edge[:-1] |= labels[1:] != labels[:-1]
    edge[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    for _ in range(width - 1):
        wider = edge.copy()
        wider[:-1] |= edge[1:]
        wider[:, :-1] |= edge[:, 1:]
        edge = wider
    return edge


def _with_legend(pixels: np.ndarray, entries: list[tuple[int, str]]) -> np.ndarray:
    """Below the picture, a square and a name for each class, in as many lines as they need."""
    height, width = pixels.shape[0], max(pixels.shape[1], _NARROWEST)
    size = min(40, max(11, round(width / 36)))
    font, gap, palette = _font(size), size // 2, voc_palette()
    places, x, line = [], gap, 0
    for _, name in entries or [(0, "background only")]:
        needed = size + gap // 2 + round(font.getlength(name))
        if x > gap and x + needed + gap > width:
            x, line = gap, line + 1
        places.append((x, line))
        x += needed + 2 * gap
    step = size + gap
    sheet = Image.new("RGB", (width, height + gap + step * (line + 1)), "white")
    sheet.paste(Image.fromarray(pixels), (0, 0))
    draw = ImageDraw.Draw(sheet)
    for (label, name), (left, row) in zip(entries or [(0, "background only")], places, strict=True):
        top = height + gap + step * row
        draw.rectangle((left, top, left + size - 1, top + size - 1), fill=tuple(int(v) for v in palette[label]))
        draw.text((left + size + gap // 2, top + size // 2), name, fill="black", font=font, anchor="lm")
    return np.asarray(sheet)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Matplotlib's letters, which go far beyond English. Its folder is looked up: to import it takes a while."""
    found = find_spec("matplotlib")
    assert found is not None and found.origin is not None  # a dependency
    path = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size)
