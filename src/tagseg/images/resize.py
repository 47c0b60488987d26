"""Resize images and maps."""

import numpy as np
from PIL import Image

SMALLEST_SIDE = 32  # pixels: a trunk halves an image five times


def resized(image: Image.Image, side: int, method: Image.Resampling = Image.Resampling.BILINEAR) -> Image.Image:
    """An image with its longer side resized to `side` pixels; 0 leaves it as it is.

    The shorter side has at least `SMALLEST_SIDE` pixels, which networks need: a panorama is then longer than `side`.
    """
    if not side:
        return image
    scale = max(side / max(image.size), SMALLEST_SIDE / min(image.size))
    width, height = (max(SMALLEST_SIDE, round(length * scale)) for length in image.size)
    return image.resize((width, height), method)


def resize_map(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a map (h, w) of any real dtype to (H, W) = `size`: float32, bilinear, antialiased when shrinking."""
    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))
