"""Dense CRF of large images at a smaller size: inputs are averaged, marginals are interpolated.

Arrays are resized label by label, so that no further array of all labels at full size is needed.
"""

import math
from collections.abc import Iterable

import numpy as np
from PIL import Image

# energies are capped at this much above the minimum of a pixel; exp(-100) is negligible in float32
WORST = 100.0


def smaller_size(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """`size` = (H, W) reduced to at most `max_pixels` pixels at about the same aspect ratio; unchanged if it fits."""
    height, width = size
    if height * width <= max_pixels:
        return size
    scale = math.sqrt(max_pixels / (height * width))
    h = min(max(1, int(height * scale)), max_pixels)  # a narrow strip keeps at least 1 pixel
    return h, min(max(1, int(width * scale)), max_pixels // h)


def shrink_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shrink an image (H, W, 3) uint8 to `size` = (h, w) by averaging: (h, w, 3) uint8."""
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BOX))


def shrink_planes(planes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(L, H, W) -> (L, h, w) float32, each value the mean of those it covers."""
    return _resized((plane.astype(np.float32) for plane in planes), len(planes), size, Image.Resampling.BOX)


def shrink_unary(unary: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shrink energies (L, H, W) to `size` = (h, w) by averaging, relative to each pixel's minimum: (L, h, w) float32.

    They are capped at `WORST` above the minimum, since an infinite energy would spread to neighbouring pixels.
    """
    least = unary.min(axis=0).astype(np.float32)
    above = (np.minimum(plane.astype(np.float32) - least, np.float32(WORST)) for plane in unary)
    return _resized(above, len(unary), size, Image.Resampling.BOX)


def shrink_regions(regions: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shrink a region map (H, W) to `size` = (h, w), taking the region at the centre of each block."""
    rows, columns = (
        ((np.arange(n) + 0.5) * full / n).astype(np.intp) for n, full in zip(size, regions.shape, strict=True)
    )
    return regions[rows[:, None], columns]


def enlarge_marginals(marginals: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarge marginals (L, h, w) float32 to `size` = (H, W), bilinear, which preserves their sum of 1."""
    return _resized(marginals, len(marginals), size, Image.Resampling.BILINEAR)


def _resized(planes: Iterable[np.ndarray], labels: int, size: tuple[int, int], method: Image.Resampling) -> np.ndarray:
    """Resize `labels` planes of one size, float32, to `size` = (h, w): (L, h, w) float32. Takes them one at a time."""
    result = np.empty((labels, *size), dtype=np.float32)
    for plane, out in zip(planes, result, strict=True):
        out[:] = np.asarray(Image.fromarray(plane).resize(size[::-1], method))
    return result
