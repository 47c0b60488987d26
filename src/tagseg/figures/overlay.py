"""A label map over its photograph: colours, outlines, and a legend of the classes."""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tagseg.figures.letters import base_font, in_pictures, in_runs
from tagseg.images.palette import IGNORE, voc_palette

_OPACITY = 0.5  # of the colours over the photograph
_LEAST_WIDTH = 160  # pixels: a legend needs room for a name


def overlay(image: np.ndarray, labels: np.ndarray, classes: list[str]) -> np.ndarray:
    """The image under the colours of its label map, with a legend of the classes in it below.

    `image` (H, W, 3) uint8; `labels` (H, W) uint8; `classes` are all names by label, and a class whose letters no font
    has is called `class LABEL`. Returns (H', W', 3) uint8: as wide as the image, or wider if that is narrower than a
    legend, and higher by the legend. Background is left as it is; outlines are white.
    """
    pixels = blend_labels(image, labels)
    present = [int(label) for label in np.flatnonzero(np.bincount(labels.ravel())) if label not in (0, IGNORE)]
    names = list(in_pictures(classes).values())
    return _with_legend(pixels, [(label, names[label]) for label in present])


def blend_labels(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`image` (H, W, 3) uint8 under the colours of `labels` (H, W) uint8, outlined in white: (H, W, 3) uint8."""
    photograph, colours = Image.fromarray(image), Image.fromarray(labels)
    colours.putpalette(voc_palette().tobytes())
    inside = Image.fromarray(((labels != 0) * np.uint8(255)).astype(np.uint8))
    blended = Image.blend(photograph, colours.convert("RGB"), _OPACITY)
    pixels = np.array(Image.composite(blended, photograph, inside))
    pixels[outlines(labels, max(1, min(labels.shape) // 250))] = 255
    return pixels


def outlines(labels: np.ndarray, width: int = 1) -> np.ndarray:
    """Where one label meets another: (H, W) bool, `width` pixels above and to the left of each border."""
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
    """The picture, and below it a square and a name for each (label, name), on as many lines as they need."""
    entries = entries or [(0, "background only")]
    height, width = pixels.shape[0], max(pixels.shape[1], _LEAST_WIDTH)
    size = min(40, max(11, round(width / 36)))  # of a square, and of the letters
    gap, palette = size // 2, voc_palette()
    positions, x, line = [], gap, 0
    for _, name in entries:
        needed = size + gap // 2 + round(_length(name, size))
        if x > gap and x + needed + gap > width:
            x, line = gap, line + 1
        positions.append((x, line))
        x += needed + 2 * gap
    line_height = size + gap
    picture = Image.new("RGB", (width, height + gap + line_height * (line + 1)), "white")
    picture.paste(Image.fromarray(pixels), (0, 0))
    draw = ImageDraw.Draw(picture)
    for (label, name), (left, line) in zip(entries, positions, strict=True):
        top = height + gap + line_height * line
        draw.rectangle((left, top, left + size - 1, top + size - 1), fill=tuple(palette[label].tolist()))
        _write(draw, (left + size + gap // 2, top + size // 2), name, size)
    return np.asarray(picture)


def _write(draw: ImageDraw.ImageDraw, start: tuple[int, int], name: str, size: int) -> None:
    """A name from `start` on, the point at half its height; each piece in a font that has its letters."""
    x, middle = start
    ascent, descent = _font(base_font(), size).getmetrics()
    baseline = middle + (ascent - descent) // 2
    for path, piece in in_runs(name):
        font = _font(path, size)
        draw.text((x, baseline), piece, fill="black", font=font, anchor="ls")
        x += round(font.getlength(piece))


@cache
def _length(name: str, size: int) -> float:
    return sum(_font(path, size).getlength(piece) for path, piece in in_runs(name))


@cache
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)
