"""Joint and marginal densities of neighbouring pixels' features, and their pointwise mutual information.

Isola et al. 2014, Eqs. 1 and 2. A pair is a row (A, B) of 2 C values: the features of two nearby pixels, ordered by
`order_pairs`, so that half of the joint space has to be modelled.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

_DISTANCE_VARIANCE = 0.25  # pixels²; of the Gaussian from which a sampled pair's distance comes
_LARGEST_OFFSET = 2.0  # pixels a component, each way
_FLOOR = 100.0  # added to both densities, so that PMI of rare pairs is tame
_JOINT_EXPONENT = 1.25  # ρ of PMI_ρ
_CELLS_DOWN, _CELLS_ACROSS = 2, 4  # cells of a bandwidth, in the first two coordinates


@dataclass(frozen=True)
class PairDensity:
    """Kernel density estimate of pairs: product Epanechnikov kernels of one `bandwidth`, rows sorted by column 0."""

    joint: np.ndarray  # (N, 2 C) float32
    single: np.ndarray  # (2 N, C) float32: both halves of `joint`
    bandwidth: float

    def pmi(self, features: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """PMI_ρ (M,) float64 of the pixels `first` and `second` (M,), rows of `features` (P, C) float32.

        log[ (100 + p(A, B) / 2)^1.25 / (p(A) p(B) + 100) ]; the half, since one half of the space was modelled.
        """
        pairs = order_pairs(np.hstack([features[first], features[second]]))
        joint = _FLOOR + epanechnikov_density(pairs, self.joint, self.bandwidth) / 2
        pixels, place = np.unique(np.concatenate([first, second]), return_inverse=True)
        single = epanechnikov_density(features[pixels], self.single, self.bandwidth)[place]
        product = _FLOOR + single[: len(first)] * single[len(first) :]
        return _JOINT_EXPONENT * np.log(joint) - np.log(product)


def fit_density(features: np.ndarray, kernels: int, bandwidth: float, rng: np.random.Generator) -> PairDensity:
    """Density of nearby pairs of `features` (H, W, C) float32 from at most `kernels` samples (Eq. 1)."""
    first, second = sample_nearby_pairs(features.shape[:2], kernels, rng)
    pixels = features.reshape(-1, features.shape[2])
    joint = order_pairs(np.hstack([pixels[first], pixels[second]]))
    single = np.concatenate([joint[:, : pixels.shape[1]], joint[:, pixels.shape[1] :]])
    return PairDensity(_sorted(joint), _sorted(single), bandwidth)


def order_pairs(pairs: np.ndarray) -> np.ndarray:
    """Put the larger of the two first channels first, in a copy of `pairs` (M, 2 C).

    The public code orders A and B by this channel but moves no other; densities that were estimated so are consistent
    in themselves, and the measured figures of that code are figures of this rule.
    """
    half = pairs.shape[1] // 2
    ordered = pairs.copy()
    ordered[:, 0] = np.maximum(pairs[:, 0], pairs[:, half])
    ordered[:, half] = np.minimum(pairs[:, 0], pairs[:, half])
    return ordered


def sample_nearby_pairs(size: tuple[int, int], count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices of pixel pairs around at most `count` distinct centres of an image of `size` (H, W).

    Drawn as the public code does: p ± r about a random pixel p, r normal and then lengthened by one pixel; pairs that
    leave the image are dropped, so tiny images may give none.
    """
    height, width = size
    centre = np.unique(rng.integers(0, height * width, count))
    offset = rng.normal(0, np.sqrt(_DISTANCE_VARIANCE), (len(centre), 2))
    offset += offset / np.linalg.norm(offset, axis=1, keepdims=True)
    offset = np.clip(offset, -_LARGEST_OFFSET, _LARGEST_OFFSET)
    place = np.stack(np.unravel_index(centre, size), axis=1)
    ends = np.stack([place + offset, place - offset])
    ends = np.floor(ends + 0.5).astype(np.int64)  # halves round up; NumPy's own rounding would favour even pixels
    inside = ((ends >= 0) & (ends < [height, width])).all(axis=(0, 2))
    first, second = ends[:, inside] @ np.array([width, 1])
    return first, second


def _sorted(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows[np.argsort(rows[:, 0], kind="stable")], dtype=np.float32)


@njit(cache=True, nogil=True)
def epanechnikov_density(points: np.ndarray, kernels: np.ndarray, bandwidth: float) -> np.ndarray:
    """(1/N) Σ_n Π_d 3/(4h) (1 - ((x_d - k_nd)/h)²)₊ at each of `points` (M, D), float64 (M,); `kernels` (N, D).

    The kernel has compact support: kernels are sorted into cells of h/2 x h/4 in the first two coordinates, of which
    five rows of nine can matter to a point.
    """
    count, dimensions = kernels.shape
    density = np.zeros(len(points))
    if count == 0:
        return density
    inverse = np.float32(1 / bandwidth)
    down, across = np.float32(_CELLS_DOWN), np.float32(_CELLS_ACROSS)
    low0, low1 = kernels[:, 0].min() * inverse, kernels[:, 1].min() * inverse
    rows = int((kernels[:, 0].max() * inverse - low0) * down) + 1
    columns = int((kernels[:, 1].max() * inverse - low1) * across) + 1
    cell = np.empty(count, np.int64)
    begin = np.zeros(rows * columns + 1, np.int64)
    for n in range(count):
        row, column = int((kernels[n, 0] * inverse - low0) * down), int((kernels[n, 1] * inverse - low1) * across)
        cell[n] = row * columns + column
        begin[cell[n] + 1] += 1
    begin = np.cumsum(begin)
    # one row a dimension, in units of h, so that the innermost loop runs over neighbours in memory
    sorted_ = np.ascontiguousarray((kernels[np.argsort(cell, kind="mergesort")] * inverse).T)
    scale = (0.75 / bandwidth) ** dimensions / count
    for m in range(len(points)):
        point = points[m] * inverse
        row = int(np.floor((point[0] - low0) * down))
        column = int(np.floor((point[1] - low1) * across))
        left, right = max(column - _CELLS_ACROSS, 0), min(column + _CELLS_ACROSS, columns - 1)
        if left > right:
            continue
        for r in range(max(row - _CELLS_DOWN, 0), min(row + _CELLS_DOWN, rows - 1) + 1):
            density[m] += _kernel_sum(sorted_, point, begin[r * columns + left], begin[r * columns + right + 1])
        density[m] *= scale
    return density


@njit(cache=True, nogil=True, fastmath=True)
def _kernel_sum(kernels, point, low, high):  # type: ignore[no-untyped-def]  # compiled
    """Σ Π (1 - t²)₊ over columns low:high; free summation order, so that it runs in the processor's vector units."""
    total = np.float32(0)
    one, zero = np.float32(1), np.float32(0)
    if len(point) == 6:
        a, b, c, d, e, f = kernels[0], kernels[1], kernels[2], kernels[3], kernels[4], kernels[5]
        for n in range(low, high):
            t0, t1, t2 = a[n] - point[0], b[n] - point[1], c[n] - point[2]
            t3, t4, t5 = d[n] - point[3], e[n] - point[4], f[n] - point[5]
            half = max(one - t0 * t0, zero) * max(one - t1 * t1, zero) * max(one - t2 * t2, zero)
            total += half * max(one - t3 * t3, zero) * max(one - t4 * t4, zero) * max(one - t5 * t5, zero)
        return total
    for n in range(low, high):
        t0, t1, t2 = kernels[0, n] - point[0], kernels[1, n] - point[1], kernels[2, n] - point[2]
        total += max(one - t0 * t0, zero) * max(one - t1 * t1, zero) * max(one - t2 * t2, zero)
    return total
