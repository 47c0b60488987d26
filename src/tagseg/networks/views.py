"""A trunk's maps of one photograph at several sizes, with those of its mirror images."""

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tagseg.networks.taps import Taps


def views(images: Tensor, scales: Sequence[float], mirror: bool) -> Iterator[list[Tensor]]:
    """(N, 3, H, W) float -> at each scale, the images of that size, and their mirror images if asked for.

    Scale 1 is the images as they are; others are resized, antialiased when they shrink, to no less than the 32 pixels
    a side that a trunk needs.
    """
    for scale in scales:
        sized = images if scale == 1 else _resized(images, scale)
        yield [sized, sized.flip(3)] if mirror else [sized]


def mean_over_mirror(maps: Sequence[Tensor]) -> Tensor:
    """Maps (N, C, h, w) of the views of one scale, the mirrored one turned back, averaged."""
    return maps[0] if len(maps) == 1 else (maps[0] + maps[1].flip(3)) / 2


def pixel_features(
    trunk: Callable[[Tensor], Taps], images: Tensor, grid: tuple[int, int], *, scales: Sequence[float], mirror: bool
) -> Tensor:
    """conv4 and conv5 at every position of a grid: (N, C4 + C5, h, w) float32, the mean over scales and mirror images.

    `images` (N, 3, H, W) are normalised; each map is resized to `grid` = (h, w), bilinear.
    """
    summed: Tensor | None = None
    for same_size in views(images, scales, mirror):
        taps = [trunk(view) for view in same_size]
        both = [mean_over_mirror([getattr(t, name) for t in taps]) for name in ("conv4", "conv5")]
        here = torch.cat([resize(values.float(), grid) for values in both], dim=1)
        summed = here if summed is None else summed + here
    assert summed is not None  # a configuration has at least one scale
    return summed / len(scales)


def resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, C, h, w) -> (N, C, *size), bilinear; of no map, none."""
    if not maps.shape[1]:  # an image without a tag has no CAM
        return maps.new_zeros(*maps.shape[:2], *size)
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def _resized(images: Tensor, scale: float) -> Tensor:
    size = tuple(max(32, round(length * scale)) for length in images.shape[2:])
    mode = "bilinear" if scale < 1 else "bicubic"
    return F.interpolate(images, size=size, mode=mode, align_corners=False, antialias=scale < 1)
