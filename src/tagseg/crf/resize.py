"""A large image's dense CRF at a smaller size: what goes in is averaged, what comes out is interpolated.

Everything goes label by label, so that beside input and output no array of all labels at the full size ever exists.
"""

import math

import numpy as np
from PIL import Image

# exp(-100) is next to nothing in float32: a label that much worse than the best has no probability left
WORST = 100.0


def smaller_size(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """The size (h, w) of the shape of `size` = (H, W) that has at most `max_pixels`."""
    height, width = size
    if height * width <= max_pixels:
        return size
    scale = math.sqrt(max_pixels / (height * width))
    h = min(max(1, int(height * scale)), max_pixels)  # a strip keeps a width of one pixel, and less of its length
    return h, min(max(1, int(width * scale)), max_pixels // h)


def shrink_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8 -> (h, w, 3), each pixel the mean of those it covers."""
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BOX))


def shrink_unary(unary: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(L, H, W) energies -> (L, h, w) float32, each the mean of those it covers, counted from each pixel's least.

    Energies beyond `WORST` above the least count as that much: an infinite one would spread to its neighbours.
    """
    least = unary.min(axis=0).astype(np.float32)
    small = np.empty((unary.shape[0], *size), dtype=np.float32)
    for plane, out in zip(unary, small, strict=True):
        above = np.minimum(plane.astype(np.float32) - least, np.float32(WORST))
        out[:] = np.asarray(Image.fromarray(above).resize(size[::-1], Image.Resampling.BOX))
    return small


def shrink_regions(regions: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) numbers -> (h, w), each that of the pixel in its middle."""
    rows, columns = (
        ((np.arange(n) + 0.5) * full / n).astype(np.intp) for n, full in zip(size, regions.shape, strict=True)
    )
    return regions[rows[:, None], columns]


def enlarge_marginals(marginals: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(L, h, w) float32 -> (L, H, W) float32, bilinear: its weights sum to 1, and so do marginals."""
    large = np.empty((marginals.shape[0], *size), dtype=np.float32)
    for plane, out in zip(marginals, large, strict=True):
        out[:] = np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR))
    return large
