"""Draw truth masks from COCO's outlines: polygons, run lengths, and run lengths as compressed text."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from tagseg.datasets.coco_file import CocoObject, Id, order, shown
from tagseg.errors import TagsegError, one_line
from tagseg.images.palette import IGNORE

_FARTHEST = 100_000  # pixels: the library's memory grows with the length of an outline


def draw(
    path: Path, size: tuple[int, int], objects: Sequence[CocoObject], labels: Mapping[Id, int]
) -> np.ndarray | None:
    """The truth mask (H, W) = `size`, uint8: crowds as 255, then objects from the largest to the smallest.

    Objects are compared by the area of their masks; of two of the same area, the larger annotation id is on top. None
    if an object has no outline: its pixels would count as background. `labels` are the labels by category id.
    Raises TagsegError naming the file and the annotation whose outline cannot be drawn.
    """
    if any(found.outline is None for found in objects):
        return None
    drawn = []
    for found in objects:
        try:
            code = _run_lengths(found.outline, size)
        except Exception as error:  # the library raises many types
            raise TagsegError(
                f"{path}: annotation {shown(found.id)}: its segmentation cannot be drawn ({one_line(error)}); "
                "fix or drop it"
            ) from None
        if code is not None:
            drawn.append(((not found.crowd, -int(coco_mask.area(code)), order(found.id)), code, found))
    mask = np.zeros(size, dtype=np.uint8)
    for _, code, found in sorted(drawn, key=lambda entry: entry[0]):
        mask[coco_mask.decode(code).astype(bool)] = IGNORE if found.crowd else labels[found.category]
    return mask


def _run_lengths(outline: Any, size: tuple[int, int]) -> Any:
    """An outline in the library's format; None if it has no area. Raises ValueError or what the library raises."""
    height, width = size
    if isinstance(outline, list):  # polygons; the official files have a few with fewer than three points
        polygons = [polygon for polygon in _polygons(outline) if len(polygon) >= 6]
        return coco_mask.merge(coco_mask.frPyObjects(polygons, height, width)) if polygons else None
    if not isinstance(outline, dict) or "counts" not in outline:
        raise ValueError("neither polygons nor run lengths with counts")
    given = [int(side) for side in outline.get("size", ())]
    if given != [height, width]:
        raise ValueError(f"run lengths of size {given}, but the photograph is {height} x {width}, height first")
    counts = outline["counts"]
    runs = [int(count) for count in counts] if isinstance(counts, list) else _runs(counts)
    # with too few, the library would leave pixels uninitialised
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise ValueError(f"run lengths of {sum(runs)} pixels, but there are {height * width}")
    return coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)


def _polygons(outline: list[Any]) -> list[list[float]]:
    """Polygons as lists x, y, x, y, ...; accepts a single polygon, and points given as pairs."""
    if all(isinstance(part, list) and len(part) == 2 and not isinstance(part[0], list) for part in outline):
        parts = [outline] if len(outline) > 2 else outline
    elif any(isinstance(part, list) for part in outline):
        parts = outline
    else:
        parts = [outline]
    polygons = []
    for part in parts:
        pairs = any(isinstance(point, list) for point in part)
        polygon = [float(number) for point in part for number in (point if pairs else [point])]
        if len(polygon) % 2:
            raise ValueError(f"{len(polygon)} coordinates, an odd number")
        if not all(math.isfinite(number) and abs(number) < _FARTHEST for number in polygon):
            raise ValueError("a coordinate that is not a number, or lies far outside the photograph")
        polygons.append(polygon)
    return polygons


def _runs(text: str) -> list[int]:
    """Decode COCO's compressed run lengths: 5 bits per character, and differences from the third run on."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"{character!r} in the compressed run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
    if shift:
        raise ValueError("compressed run lengths that are cut short")
    return runs
