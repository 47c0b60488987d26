"""Oriented boundary energy, from the eigenvectors of the normalised cut (Arbeláez et al. 2011, Eq. 12)."""

import functools

import numpy as np
from numba import njit

ORIENTATIONS = 8
_SIGMA = 1.0  # pixels
_REACH = 3  # pixels: filters are 7 x 7
_OVERSAMPLING = 10  # samples per pixel and axis
_TABLE_STEPS = 10  # table entries per sample
_BORDER = 0.03  # of the height: the distance within which boundaries along the image border are suppressed


@functools.cache
def oriented_filters() -> np.ndarray:
    """First derivatives of a Gaussian (8, 7, 7) float64; filter o responds to boundaries of channel o.

    Each pixel is the mean of 10 x 10 samples; each filter has zero mean and L1 norm 1. Channel o is a boundary in
    direction θ = (4 - o) π / 8, measured from the x axis towards y (downwards): 4 is horizontal, 0 vertical.
    """
    side = 2 * _REACH + 1
    samples = side * _OVERSAMPLING
    edge = side // 2 + 0.5 * (1 - 1 / _OVERSAMPLING)
    grid = np.linspace(-edge, edge, samples)
    x, y = np.meshgrid(grid, grid)
    # sampled from a table by nearest neighbour, as in the public code, to which the default thresholds were tuned
    radius = edge * np.sqrt(2) * 1.01
    entries = int(np.ceil(radius * _OVERSAMPLING * _TABLE_STEPS))
    entries += (entries + 1) % 2
    table = np.linspace(-radius, radius, entries)
    gap = 2 * radius / (entries - 1)
    along = np.exp(-(table**2) / (2 * _SIGMA**2))
    across = -table / _SIGMA**2 * along
    filters = np.empty((ORIENTATIONS, side, side))
    for channel in range(ORIENTATIONS):
        theta = np.pi * ((3 - channel) % ORIENTATIONS + 1) / ORIENTATIONS
        u = np.rint((x * np.sin(theta) + y * np.cos(theta)) / gap).astype(int) + entries // 2
        v = np.rint((x * np.cos(theta) - y * np.sin(theta)) / gap).astype(int) + entries // 2
        cells = (along[u] * across[v]).reshape(side, _OVERSAMPLING, side, _OVERSAMPLING).sum(axis=(1, 3)).T
        cells -= cells.mean()
        filters[channel] = cells / np.abs(cells).sum()
    return filters


def oriented_energy(vectors: np.ndarray, values: np.ndarray) -> np.ndarray:
    """E_oriented (H, W, 8) float32 >= 0: Σ_v |filter_o * v| / √λ over eigenvectors v, each scaled to a range of 1.

    `vectors` is (H, W, n) float32, `values` λ (n,) float64. Constant eigenvectors and those with λ = 0 are skipped.
    """
    size = vectors.shape[:2]
    spread = np.ptp(vectors, axis=(0, 1)).astype(np.float64)
    use = (spread > 0) & (values > 0)
    if not use.any():
        return np.zeros((*size, ORIENTATIONS), np.float32)
    scale = np.where(use, 1 / np.where(use, spread * np.sqrt(np.maximum(values, 0)), 1), 0).astype(np.float32)
    padded = np.pad(vectors, ((_REACH, _REACH), (_REACH, _REACH), (0, 0)), mode="symmetric")
    padded *= scale
    return _response_sums(padded, oriented_filters().astype(np.float32))


@njit(cache=True, nogil=True, fastmath=True)
def _response_sums(padded, filters):  # type: ignore[no-untyped-def]  # compiled
    """Σ_n |filter_o * v_n| (H, W, O) of `padded` (H + 6, W + 6, n). Filters are odd, so half of the taps suffice."""
    orientations, side, _ = filters.shape
    height, width, count = padded.shape[0] - side + 1, padded.shape[1] - side + 1, padded.shape[2]
    taps = side * side // 2
    result = np.empty((height, width, orientations), np.float32)
    response = np.empty((orientations, count), np.float32)
    difference = np.empty(count, np.float32)
    for y in range(height):
        for x in range(width):
            response[:] = 0
            for tap in range(taps):
                i, j = divmod(tap, side)
                ahead, behind = padded[y + side - 1 - i, x + side - 1 - j], padded[y + i, x + j]
                for n in range(count):
                    difference[n] = behind[n] - ahead[n]
                for o in range(orientations):
                    weight = filters[o, i, j]
                    row = response[o]
                    for n in range(count):
                        row[n] += weight * difference[n]
            for o in range(orientations):
                total = np.float32(0)
                for n in range(count):
                    total += abs(response[o, n])
                result[y, x, o] = total
    return result


def suppress_border(energy: np.ndarray) -> np.ndarray:
    """Suppress boundaries along the image border in E_oriented (H, W, 8): (H, W, 8) float32.

    Within r = .03 H of a side, the energy is reduced by a ramp 1 - (d / r)² of the distance d, in the triangle of the
    image that is closest to that side, and in proportion to how parallel the orientation is to the side.
    """
    height, width = energy.shape[:2]
    reach = int(np.ceil(_BORDER * height))
    y, x = np.mgrid[1 : height + 1, 1 : width + 1]
    right_or_top = x > width / height * y
    left_or_top = right_or_top[:, ::-1]
    left = np.where(~right_or_top & left_or_top, np.minimum(((x - 1) / reach) ** 2, 1), 1)
    top = np.where(right_or_top & left_or_top, np.minimum(((y - 1) / reach) ** 2, 1), 1)
    vertical = 1 - left * left[:, ::-1]
    horizontal = 1 - top * top[::-1]
    theta = np.pi * ((3 - np.arange(ORIENTATIONS)) % ORIENTATIONS + 1) / ORIENTATIONS
    suppression = np.abs(np.cos(theta)) * horizontal[..., None] + np.abs(np.sin(theta)) * vertical[..., None]
    return (energy * (1 - suppression)).astype(np.float32)
