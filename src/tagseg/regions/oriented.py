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


@functools.cache
def steering() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two vectors (7,) and weights (8, 2), all float32, that make up `oriented_filters` (Freeman and Adelson 1991).

    Channel 0 is the outer product of `smooth` (downwards) and `slope` (to the right), channel 4 that of `slope` and
    `smooth`; channel o is nearly their sum with the weights of row o. Nearly, since the public code's filters are
    sampled from a table: by half a percent of the largest entry, where two filters take a fourth of the time of eight.
    """
    filters = oriented_filters()
    level, upright = filters[4], filters[0]
    slope = upright[_REACH] / np.abs(upright[_REACH]).sum()
    smooth = upright @ slope / (slope @ slope)
    pair = np.stack([upright.ravel(), level.ravel()], axis=1)
    weights = np.linalg.lstsq(pair, filters.reshape(ORIENTATIONS, -1).T, rcond=None)[0].T
    weights[:, 1] *= np.sign((np.outer(slope, smooth) * level).sum())
    return smooth.astype(np.float32), slope.astype(np.float32), weights.astype(np.float32)


def oriented_energy(vectors: np.ndarray, values: np.ndarray) -> np.ndarray:
    """E_oriented (H, W, 8) float32 >= 0: Σ_v |filter_o * v| / √λ over eigenvectors v, each scaled to a range of 1.

    `vectors` is (H, W, n) float32, mirrored at the border, `values` λ (n,) float64. The filters are those of
    `steering`. Constant eigenvectors and those with λ = 0 are skipped.
    """
    size = vectors.shape[:2]
    # over rows first, as long vectors
    highest, lowest = vectors.max(axis=0).max(axis=0), vectors.min(axis=0).min(axis=0)
    spread = highest.astype(np.float64) - lowest
    use = (spread > 0) & (values > 0)
    if not use.any():
        return np.zeros((*size, ORIENTATIONS), np.float32)
    scale = np.where(use, 1 / np.where(use, spread * np.sqrt(np.maximum(values, 0)), 1), 0).astype(np.float32)
    rows, columns = (np.pad(np.arange(side), _REACH, mode="symmetric") for side in size)
    flat = np.ascontiguousarray(vectors).reshape(size[0], -1)
    return _response_sums(flat, scale, rows, columns, *steering())


@njit(cache=True, nogil=True, fastmath=True)
def _response_sums(vectors, scale, rows, columns, smooth, slope, weights):  # type: ignore[no-untyped-def]  # compiled
    """Σ_n |filter_o * v_n| scale_n (H, W, O) of `vectors` (H, W n); the filters are given by `steering`.

    `rows` (H + 6,) and `columns` (W + 6,) are the places of the pixels of a mirrored image.
    """
    height, n = len(vectors), len(scale)
    width = vectors.shape[1] // n
    result = np.empty((height, width, len(weights)), np.float32)
    even, odd = np.empty((width + 2 * _REACH) * n, np.float32), np.empty((width + 2 * _REACH) * n, np.float32)
    inside = slice(_REACH * n, (_REACH + width) * n)
    right, down = np.empty(width * n, np.float32), np.empty(width * n, np.float32)
    for y in range(height):
        a, b, c, d = vectors[rows[y]], vectors[rows[y + 1]], vectors[rows[y + 2]], vectors[y]
        e, f, g = vectors[rows[y + 4]], vectors[rows[y + 5]], vectors[rows[y + 6]]
        _even(a, b, c, d, e, f, g, smooth, even[inside])
        _odd(a, b, c, e, f, g, slope, odd[inside])
        for x in range(_REACH):
            for outside in (x, width + _REACH + x):
                there = columns[outside] + _REACH
                even[outside * n : (outside + 1) * n] = even[there * n : (there + 1) * n]
                odd[outside * n : (outside + 1) * n] = odd[there * n : (there + 1) * n]
        _odd(even, even[n:], even[2 * n :], even[4 * n :], even[5 * n :], even[6 * n :], slope, right)
        _even(odd, odd[n:], odd[2 * n :], odd[3 * n :], odd[4 * n :], odd[5 * n :], odd[6 * n :], smooth, down)
        for x in range(width):
            _add_up(right[x * n : (x + 1) * n], down[x * n : (x + 1) * n], scale, weights, result[y, x])
    return result


@njit(cache=True, nogil=True, fastmath=True)
def _add_up(right, down, scale, weights, sums):  # type: ignore[no-untyped-def]  # compiled
    """Σ_n |weights_o · (right_n, down_n)| scale_n (8,): all in one loop, as the sums fit into registers.

    Channel 8 - o mirrors channel o, so that its weights differ in one sign.
    """
    p1, q1, p2, q2, p3, q3 = weights[1, 0], weights[1, 1], weights[2, 0], weights[2, 1], weights[3, 0], weights[3, 1]
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = np.float32(0)
    for n in range(len(scale)):
        x, y = scale[n] * right[n], scale[n] * down[n]
        s0 += abs(x)
        s4 += abs(y)
        s1 += abs(p1 * x + q1 * y)
        s7 += abs(p1 * x - q1 * y)
        s2 += abs(p2 * x + q2 * y)
        s6 += abs(p2 * x - q2 * y)
        s3 += abs(p3 * x + q3 * y)
        s5 += abs(p3 * x - q3 * y)
    sums[0], sums[1], sums[2], sums[3] = s0, s1, s2, s3
    sums[4], sums[5], sums[6], sums[7] = s4, s5, s6, s7


@njit(cache=True, nogil=True, fastmath=True)
def _even(a, b, c, d, e, f, g, taps, result):  # type: ignore[no-untyped-def]  # compiled
    """Correlation of seven neighbours with an even filter `taps` (7,)."""
    for i in range(len(result)):
        result[i] = taps[0] * (a[i] + g[i]) + taps[1] * (b[i] + f[i]) + taps[2] * (c[i] + e[i]) + taps[3] * d[i]


@njit(cache=True, nogil=True, fastmath=True)
def _odd(a, b, c, e, f, g, taps, result):  # type: ignore[no-untyped-def]  # compiled
    """Correlation of six neighbours, three before and three behind the pixel, with an odd filter `taps` (7,)."""
    for i in range(len(result)):
        result[i] = taps[0] * (a[i] - g[i]) + taps[1] * (b[i] - f[i]) + taps[2] * (c[i] - e[i])


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
