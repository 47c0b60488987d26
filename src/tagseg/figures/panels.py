"""Panels, the pictures of a grid: an image, a map or labels, turned into colours.

A panel never has more than `LONGEST_SIDE` pixels a side, whatever the photograph has: a grid shows each in two inches,
and holds all of them at once.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from PIL import Image

from tagseg.figures.overlay import blend_labels
from tagseg.images.palette import IGNORE, voc_palette

LONGEST_SIDE = 640
_HEAT = colormaps["magma"]


@dataclass(frozen=True)
class Panel:
    """One picture: `pixels` (H, W, 3) uint8, and the labels whose colours a legend has to explain."""

    pixels: np.ndarray
    labels: frozenset[int] = frozenset()


def image_panel(image: np.ndarray) -> Panel:
    """An image (H, W, 3) uint8 as it is."""
    return Panel(_reduced(image))


def heat_panel(heat: np.ndarray) -> Panel:
    """A map (H, W) in [0, 1], from dark to bright; values outside are clipped."""
    return Panel(_reduced(_heat_colours(heat)))


def heat_overlay_panel(image: np.ndarray, heat: np.ndarray) -> Panel:
    """A map (H, W) in [0, 1] over its image (H, W, 3) uint8, which shows through where the map is low."""
    strength = 0.25 + 0.5 * heat[..., None]
    mixed = strength * _heat_colours(heat) + (1 - strength) * image
    return Panel(_reduced(mixed.clip(0, 255).astype(np.uint8)))


def label_panel(labels: np.ndarray) -> Panel:
    """A label map (H, W) uint8 in the VOC palette, background and ignored pixels included."""
    return Panel(_reduced(voc_palette()[labels]), _classes(labels))


def label_overlay_panel(image: np.ndarray, labels: np.ndarray) -> Panel:
    """A label map (H, W) uint8 over its image (H, W, 3) uint8, outlined in white; background is left as it is.

    Small ones are enlarged, so that outlines stay thin.
    """
    image, labels = _reduced(image), _reduced(labels, Image.Resampling.NEAREST)
    factor = max(1, LONGEST_SIDE // 2 // max(labels.shape))
    image, labels = (pixels.repeat(factor, axis=0).repeat(factor, axis=1) for pixels in (image, labels))
    return Panel(blend_labels(image, labels), _classes(labels) - {0})


def class_maps_panel(maps: np.ndarray, labels: np.ndarray) -> Panel:
    """Maps (C, H, W) in [0, 1] of the classes `labels` (C,): each in its class's colour, as bright as the map.

    Without a class, C = 0, the panel is black.
    """
    palette = voc_palette().astype(np.float32)
    mixed = np.zeros((*maps.shape[1:], 3), dtype=np.float32)
    for values, label in zip(maps, labels, strict=True):
        mixed += values[..., None] * palette[label]
    return Panel(_reduced(mixed.clip(0, 255).astype(np.uint8)), _classes(labels))


def region_panel(image: np.ndarray, regions: np.ndarray) -> Panel:
    """Regions (H, W) int, each in its mean colour of `image` (H, W, 3) uint8, with black lines between them."""
    return Panel(_reduced(paint_regions(image, regions)))


def paint_regions(image: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """The pixels of `region_panel` at the image's own size, (H, W, 3) uint8."""
    indices = np.unique(regions, return_inverse=True)[1].ravel()
    sizes = np.bincount(indices)
    means = np.stack([np.bincount(indices, channel) / sizes for channel in image.reshape(-1, 3).T], axis=1)
    painted = means[indices].reshape(image.shape).round().astype(np.uint8)
    painted[:-1][regions[1:] != regions[:-1]] = 0
    painted[:, :-1][regions[:, 1:] != regions[:, :-1]] = 0
    return painted


def _heat_colours(heat: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1] -> (H, W, 3) uint8."""
    return np.asarray(_HEAT(np.asarray(heat, dtype=np.float32), bytes=True)[..., :3])


def _classes(labels: np.ndarray) -> frozenset[int]:
    """The labels of an array, without that of ignored pixels."""
    return frozenset(np.unique(labels).tolist()) - {IGNORE}


def _reduced(pixels: np.ndarray, method: Image.Resampling = Image.Resampling.BOX) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8 with no side longer than `LONGEST_SIDE`; smaller ones stay as they are."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), method)
    return np.asarray(picture)
