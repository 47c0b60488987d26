"""Images and maps at other sizes."""

import numpy as np
from PIL import Image

from tagseg.images.files import SMALLEST_SIDE


def resized(image: Image.Image, side: int, method: Image.Resampling = Image.Resampling.BILINEAR) -> Image.Image:
    """An image with its longer side at `side` pixels; 0: as it is.

    A panorama whose shorter side would be less than a network takes has that at the least, and is longer.
    """
    if not side:
        return image
    scale = max(side / max(image.size), SMALLEST_SIDE / min(image.size))
    width, height = (max(SMALLEST_SIDE, round(length * scale)) for length in image.size)
    return image.resize((width, height), method)


def resize_map(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a map (h, w) to `size` = (H, W): float32, bilinear, antialiased when shrinking."""
    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))
