"""Pixel features for crisp boundaries: colour and local variance (Isola et al. 2014, Sec. 3)."""

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2lab

from tagseg.regions.modes import Feature


def crisp_features(image: np.ndarray, feature: Feature, *, halvings: int) -> np.ndarray:
    """One feature set of an RGB `image` (H, W, 3) uint8: (⌈H/2^k⌉, ⌈W/2^k⌉, 3) float32 in [0, 1], k = `halvings`.

    `color`: CIE Lab (D65). `var`: square root of the local standard deviation, within a radius of 2^k pixels, of the
    principal components of RGB. The channels of a set share one scale, which preserves their relative magnitude.
    """
    rgb = image / np.float64(255)
    values = rgb2lab(rgb) if feature == "color" else np.sqrt(local_deviation(principal_components(rgb), 2**halvings))
    values = to_unit_range(values)
    return to_unit_range(principal_components(halve(values, halvings))).astype(np.float32)


def to_unit_range(values: np.ndarray) -> np.ndarray:
    """Scale an array of any shape to [0, 1] by its minimum and maximum; zeros if it is constant."""
    low, high = values.min(), values.max()
    # smaller differences are rounding errors of single precision
    return (values - low) / (high - low) if high - low > 1e-6 else np.zeros_like(values)


def principal_components(values: np.ndarray) -> np.ndarray:
    """Project pixels (H, W, C) onto their principal axes, largest variance first: (H, W, C).

    The sign of an axis is arbitrary; it is chosen such that the largest loading is positive.
    """
    pixels = values.reshape(-1, values.shape[2])
    pixels = pixels - pixels.mean(axis=0)
    axes = np.linalg.eigh(pixels.T @ pixels)[1][:, ::-1]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    return (pixels @ (axes * np.sign(largest))).reshape(values.shape)


def local_deviation(values: np.ndarray, radius: int) -> np.ndarray:
    """Sample standard deviation (H, W, C) of values (H, W, C) in a disk of `radius` pixels, mirrored at the border."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = (y**2 + x**2 <= radius**2).astype(np.float64)[..., None]
    count = disk.sum()
    total = ndimage.correlate(values, disk, mode="reflect")
    squares = ndimage.correlate(values**2, disk, mode="reflect")
    return np.sqrt(np.maximum(squares - total**2 / count, 0) / (count - 1))


def halve(values: np.ndarray, times: int) -> np.ndarray:
    """Reduce (H, W, C) to (⌈H/2^k⌉, ⌈W/2^k⌉, C) float32, k = `times`, by bicubic interpolation with antialiasing.

    Mirrored at the border; every pixel of the result covers a full block of 2^k x 2^k, even at the end of an odd side.
    """
    factor = 2**times
    height, width = (-(-side // factor) for side in values.shape[:2])
    margin = 2 * factor  # support of the bicubic kernel
    border = [
        (margin, margin + size * factor - side) for size, side in zip((height, width), values.shape, strict=False)
    ]
    padded = np.pad(values, [*border, (0, 0)], mode="symmetric")
    box = (margin, margin, margin + width * factor, margin + height * factor)
    return resize(padded, (height, width), box)


def resize(values: np.ndarray, size: tuple[int, int], box: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """Bicubic resize of (H, W, C), or of its `box` (left, top, right, bottom), to (h, w, C), `size` = (h, w).

    In memory, the channels of the result come one after the other.
    """
    height, width = size
    channels = (Image.fromarray(channel) for channel in np.moveaxis(values, 2, 0).astype(np.float32, order="C"))
    resized = [channel.resize((width, height), Image.Resampling.BICUBIC, box) for channel in channels]
    return np.moveaxis(np.stack([np.asarray(channel) for channel in resized]), 0, 2)
