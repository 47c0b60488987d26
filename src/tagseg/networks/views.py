"""Multi-scale and mirrored views of images, and a trunk's feature maps averaged over them."""

from collections.abc import Iterator, Sequence

import torch.nn.functional as F
from torch import Tensor

from tagseg.images.resize import SMALLEST_SIDE


def views(images: Tensor, scales: Sequence[float], mirror: bool) -> Iterator[list[Tensor]]:
    """Yield, for each scale, the images (N, 3, H, W) float at that scale and, with `mirror`, their mirror images.

    Scale 1 is the input unchanged. Other scales are resized (antialiased when shrinking) to at least
    `SMALLEST_SIDE` pixels a side, the minimum of a trunk.
    """
    for scale in scales:
        sized = images if scale == 1 else _resized(images, scale)
        yield [sized, sized.flip(3)] if mirror else [sized]


def mean_over_mirror(maps: Sequence[Tensor]) -> Tensor:
    """Mean of the maps (N, C, h, w) of the one or two views of a scale, with the mirrored one flipped back."""
    return maps[0] if len(maps) == 1 else (maps[0] + maps[1].flip(3)) / 2


def resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps (N, C, h, w) to (N, C, H, W), `size` = (H, W), bilinear; C may be 0."""
    if not maps.shape[1]:  # no CAM for an image without tags, and `interpolate` refuses empty tensors
        return maps.new_zeros(*maps.shape[:2], *size)
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def view_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Height and width of the view at `scale` of an image of `size` = (H, W)."""
    height, width = (length if scale == 1 else max(SMALLEST_SIDE, round(length * scale)) for length in size)
    return height, width


def _resized(images: Tensor, scale: float) -> Tensor:
    size = view_size((images.shape[2], images.shape[3]), scale)
    mode = "bilinear" if scale < 1 else "bicubic"
    return F.interpolate(images, size=size, mode=mode, align_corners=False, antialias=scale < 1)
