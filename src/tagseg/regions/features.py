"""Pixel features whose joint statistics tell objects apart: colour and local variance (Isola et al. 2014, Sec. 3)."""

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2lab

from tagseg.regions.parameters import Feature


def crisp_features(image: np.ndarray, feature: Feature, *, halvings: int) -> np.ndarray:
    """One feature set of `image` (H, W, 3) uint8: (⌈H/2^k⌉, ⌈W/2^k⌉, 3) float32 in [0, 1], k = `halvings`.

    color: CIE Lab (D65). var: square root of the local standard deviation, within 2^k pixels, of the principal
    components of RGB. All channels of a set share one scale, so that a weak channel stays weak.
    """
    rgb = image / np.float64(255)
    values = rgb2lab(rgb) if feature == "color" else np.sqrt(local_deviation(principal_components(rgb), 2**halvings))
    values = to_unit_range(values)
    return to_unit_range(principal_components(halve(values, halvings))).astype(np.float32)


def to_unit_range(values: np.ndarray) -> np.ndarray:
    """Scale so that the least value of the whole array is 0 and the largest 1; zeros where all are equal."""
    low, high = values.min(), values.max()
    # differences of the size of single-precision rounding are no structure
    return (values - low) / (high - low) if high - low > 1e-6 else np.zeros_like(values)


def principal_components(values: np.ndarray) -> np.ndarray:
    """Coordinates (H, W, C) of the pixels along the principal axes, largest variance first.

    The sign of an axis is free; the rule here: its largest loading is positive.
    """
    pixels = values.reshape(-1, values.shape[2])
    pixels = pixels - pixels.mean(axis=0)
    axes = np.linalg.eigh(pixels.T @ pixels)[1][:, ::-1]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    return (pixels @ (axes * np.sign(largest))).reshape(values.shape)


def local_deviation(values: np.ndarray, radius: int) -> np.ndarray:
    """Standard deviation (n - 1) of (H, W, C) over the disk x² + y² ≤ radius², mirrored at the border."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = (y**2 + x**2 <= radius**2).astype(np.float64)[..., None]
    count = disk.sum()
    total = ndimage.correlate(values, disk, mode="reflect")
    squares = ndimage.correlate(values**2, disk, mode="reflect")
    return np.sqrt(np.maximum(squares - total**2 / count, 0) / (count - 1))


def halve(values: np.ndarray, times: int) -> np.ndarray:
    """Smooth and reduce (H, W, C) to (⌈H/2^k⌉, ⌈W/2^k⌉, C) float32 by bicubic interpolation, mirrored at the border.

    Every pixel of the result stands for a whole block of 2^k x 2^k, also the last of an odd side.
    """
    factor = 2**times
    height, width = (-(-side // factor) for side in values.shape[:2])
    margin = 2 * factor  # the kernel's reach
    border = [
        (margin, margin + size * factor - side) for size, side in zip((height, width), values.shape, strict=False)
    ]
    padded = np.pad(values, [*border, (0, 0)], mode="symmetric")
    box = (margin, margin, margin + width * factor, margin + height * factor)
    return resize(padded, (height, width), box)


def resize(values: np.ndarray, size: tuple[int, int], box: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """Bicubic resizing of (H, W, C), or of its `box` (left, top, right, bottom), to (h, w, C) float32."""
    height, width = size
    channels = (Image.fromarray(channel) for channel in np.moveaxis(values, 2, 0).astype(np.float32))
    resized = [channel.resize((width, height), Image.Resampling.BICUBIC, box) for channel in channels]
    return np.stack([np.asarray(channel) for channel in resized], axis=2)
