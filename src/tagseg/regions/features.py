"""Pixel features for crisp boundaries: colour and local variance (Isola et al. 2014, Sec. 3).

Whole images are handled channel by channel: arrays are (H, W, C), but results lie in memory as (C, H, W).
"""

import functools

import numpy as np
from numba import njit
from PIL import Image

from tagseg.regions.modes import Feature

# of sRGB to CIE XYZ, each row divided by its white (D65)
_TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_WHITE = np.array([[0.95047], [1.0], [1.08883]])


def crisp_features(image: np.ndarray, feature: Feature, *, halvings: int) -> np.ndarray:
    """One feature set of an RGB `image` (H, W, 3) uint8: (⌈H/2^k⌉, ⌈W/2^k⌉, 3) float32 in [0, 1], k = `halvings`.

    `color`: CIE Lab (D65). `var`: square root of the local standard deviation, within a radius of 2^k pixels, of the
    principal components of RGB. The channels of a set share one scale, which preserves their relative magnitude.
    """
    if feature == "color":
        values = lab(image)
    else:
        values = np.sqrt(local_deviation(principal_components(image / np.float32(255)), 2**halvings))
    return np.ascontiguousarray(to_unit_range(principal_components(halve(to_unit_range(values), halvings))))


def lab(image: np.ndarray) -> np.ndarray:
    """CIE Lab (D65) of an sRGB `image` (H, W, 3) uint8: (H, W, 3) float32, L in [0, 100]."""
    linear = _linear()[np.ascontiguousarray(np.moveaxis(image, 2, 0)).reshape(3, -1)]
    ratios = (_TO_XYZ / _WHITE).astype(np.float32) @ linear
    x, y, z = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + np.float32(16 / 116))
    return np.moveaxis(np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)]).reshape(3, *image.shape[:2]), 0, 2)


@functools.cache
def _linear() -> np.ndarray:
    """Linear intensity (256,) float32 in [0, 1] of the levels of sRGB."""
    level = np.arange(256) / 255
    return np.where(level > 0.04045, ((level + 0.055) / 1.055) ** 2.4, level / 12.92).astype(np.float32)


def to_unit_range(values: np.ndarray) -> np.ndarray:
    """Scale an array of any shape to [0, 1] by its minimum and maximum; zeros if it is constant."""
    low, high = values.min(), values.max()
    # smaller differences are rounding errors of single precision
    return (values - low) / (high - low) if high - low > 1e-6 else np.zeros_like(values)


def principal_components(values: np.ndarray) -> np.ndarray:
    """Project pixels (H, W, C) onto their principal axes, largest variance first: (H, W, C).

    The sign of an axis is arbitrary; it is chosen such that the largest loading is positive.
    """
    # contiguous, so that rounding does not depend on how the image lay in memory
    pixels = np.ascontiguousarray(np.moveaxis(values, 2, 0)).reshape(values.shape[2], -1)
    pixels = pixels - pixels.mean(axis=1, keepdims=True)
    axes = np.linalg.eigh(pixels @ pixels.T)[1][:, ::-1]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    projected = (axes * np.sign(largest)).T @ pixels
    return np.moveaxis(projected.reshape(values.shape[2], *values.shape[:2]), 0, 2)


def local_deviation(values: np.ndarray, radius: int) -> np.ndarray:
    """Sample standard deviation (H, W, C) of values (H, W, C) in a disk of `radius` pixels, mirrored at the border."""
    border = (radius, radius)
    padded = np.pad(np.moveaxis(values, 2, 0), ((0, 0), border, border), mode="symmetric")
    reaches = np.sqrt(radius**2 - np.arange(-radius, radius + 1) ** 2).astype(np.int64)  # of each row of the disk
    return np.moveaxis(_deviation(padded, reaches), 0, 2)


@njit(cache=True, nogil=True, fastmath=True)
def _deviation(padded, reaches):  # type: ignore[no-untyped-def]  # compiled
    """Implements `local_deviation` on channels (C, H + 2 r, W + 2 r). Sums are double: variance is a difference."""
    radius = len(reaches) // 2
    channels, height, width = padded.shape[0], padded.shape[1] - 2 * radius, padded.shape[2] - 2 * radius
    result = np.empty((channels, height, width), padded.dtype)
    count = 2 * reaches.sum() + len(reaches)
    total, squares = np.empty(width), np.empty(width)
    for channel in range(channels):
        for y in range(height):
            total[:] = 0
            squares[:] = 0
            for down in range(len(reaches)):
                for right in range(-reaches[down], reaches[down] + 1):
                    row = padded[channel, y + down, radius + right : radius + right + width]
                    for x in range(width):
                        value = np.float64(row[x])
                        total[x] += value
                        squares[x] += value * value
            for x in range(width):
                result[channel, y, x] = np.sqrt(max(squares[x] - total[x] ** 2 / count, 0.0) / (count - 1))
    return result


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
    padded = np.pad(np.moveaxis(values, 2, 0), [(0, 0), *border], mode="symmetric")
    box = (margin, margin, margin + width * factor, margin + height * factor)
    return resize(np.moveaxis(padded, 0, 2), (height, width), box)


def resize(values: np.ndarray, size: tuple[int, int], box: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """Bicubic resize of (H, W, C), or of its `box` (left, top, right, bottom), to (h, w, C), `size` = (h, w).

    In memory, the channels of the result come one after the other.
    """
    height, width = size
    channels = (Image.fromarray(channel) for channel in np.moveaxis(values, 2, 0).astype(np.float32, order="C"))
    resized = [channel.resize((width, height), Image.Resampling.BICUBIC, box) for channel in channels]
    return np.moveaxis(np.stack([np.asarray(channel) for channel in resized]), 0, 2)
