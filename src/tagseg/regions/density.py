"""Joint and marginal densities of the features of nearby pixels, and their pointwise mutual information (PMI).

Isola et al. 2014, Eqs. 1 and 2. A pair is a row (A, B) of 2 C values, the features of two nearby pixels ordered by
`order_pairs`, so that only half of the joint space is modelled.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

_DISTANCE_VARIANCE = 0.25  # pixels²; of the Gaussian from which offsets of pairs are drawn
_LARGEST_OFFSET = 2.0  # pixels, per component and direction
_FLOOR = 100.0  # added to both densities to regularise the PMI of rare pairs
_JOINT_EXPONENT = 1.25  # ρ of PMI_ρ
_CELLS_DOWN, _CELLS_ACROSS = 2, 4  # grid cells per bandwidth, in the first and second coordinate


@dataclass(frozen=True)
class PairDensity:
    """Kernel density estimate of pairs with product Epanechnikov kernels.

    Rows are sorted by their first column: kernels of a cell (see `epanechnikov_density`) are near in memory.
    """

    joint: np.ndarray  # (N, 2 C) float32
    single: np.ndarray  # (2 N, C) float32: both halves of `joint`
    bandwidth: float

    def pmi(self, features: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """PMI_ρ (M,) float64 of the pairs of pixels `first` and `second` (M,) int, rows of `features` (P, C) float32.

        log[ (100 + p(A, B) / 2)^1.25 / (p(A) p(B) + 100) ] (Eq. 2, regularised); p(A, B) is halved because only half of
        the joint space is modelled.
        """
        pairs = order_pairs(np.hstack([features[first], features[second]]))
        joint = _FLOOR + epanechnikov_density(pairs, self.joint, self.bandwidth) / 2
        pixels, inverse = np.unique(np.concatenate([first, second]), return_inverse=True)
        single = epanechnikov_density(features[pixels], self.single, self.bandwidth)[inverse]
        product = _FLOOR + single[: len(first)] * single[len(first) :]
        return _JOINT_EXPONENT * np.log(joint) - np.log(product)


def fit_density(features: np.ndarray, kernels: int, bandwidth: float, rng: np.random.Generator) -> PairDensity:
    """Estimate the density of nearby pairs of `features` (H, W, C) float32 in [0, 1] (Eq. 1).

    At most `kernels` pairs are sampled; `bandwidth` is in units of the features.
    """
    first, second = sample_nearby_pairs(features.shape[:2], kernels, rng)
    pixels = features.reshape(-1, features.shape[2])
    joint = order_pairs(np.hstack([pixels[first], pixels[second]]))
    single = np.concatenate([joint[:, : pixels.shape[1]], joint[:, pixels.shape[1] :]])
    return PairDensity(_sorted(joint), _sorted(single), bandwidth)


def order_pairs(pairs: np.ndarray) -> np.ndarray:
    """Copy `pairs` (M, 2 C), with the larger of the first channels of A and B in A and the smaller in B.

    As in the public code, the other channels are not swapped. Densities and forest use the same rule, so the result is
    consistent.
    """
    half = pairs.shape[1] // 2
    ordered = pairs.copy()
    ordered[:, 0] = np.maximum(pairs[:, 0], pairs[:, half])
    ordered[:, half] = np.minimum(pairs[:, 0], pairs[:, half])
    return ordered


def sample_nearby_pairs(size: tuple[int, int], count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw pairs of pixels around at most `count` distinct centres of an image of `size` (H, W).

    Returns flat indices, both (M,) int64. As in the public code, pairs are p ± r around a random pixel p, with r normal
    and then lengthened by one pixel. Pairs that leave the image are dropped, so tiny images may give none.
    """
    height, width = size
    centre = np.unique(rng.integers(0, height * width, count))
    offset = rng.normal(0, np.sqrt(_DISTANCE_VARIANCE), (len(centre), 2))
    offset += offset / np.linalg.norm(offset, axis=1, keepdims=True)
    offset = np.clip(offset, -_LARGEST_OFFSET, _LARGEST_OFFSET)
    position = np.stack(np.unravel_index(centre, size), axis=1)
    ends = np.stack([position + offset, position - offset])
    ends = np.floor(ends + 0.5).astype(np.int64)  # round half up; np.rint rounds half to even
    inside = ((ends >= 0) & (ends < [height, width])).all(axis=(0, 2))
    first, second = ends[:, inside] @ np.array([width, 1])
    return first, second


def _sorted(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows[np.argsort(rows[:, 0], kind="stable")], dtype=np.float32)


@njit(cache=True, nogil=True)
def epanechnikov_density(points: np.ndarray, kernels: np.ndarray, bandwidth: float) -> np.ndarray:
    """Density (M,) float64 at `points` (M, D) float32, D = 3 or 6: (1/N) Σ_n Π_d 3/(4h) (1 - ((x_d - k_nd)/h)²)₊.

    `kernels` k is (N, D) float32, `bandwidth` is h. Since the kernels have compact support, they are sorted into cells
    of h/2 x h/4 in the first two coordinates, of which at most 5 x 9 are relevant to a point.
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
    # one row per dimension, in units of h, for contiguous memory access in the inner loop
    sorted_ = np.ascontiguousarray((kernels[np.argsort(cell, kind="mergesort")] * inverse).T)
    scale = (0.75 / bandwidth) ** dimensions / count
    scaled = points * inverse
    for m in range(len(points)):
        point = scaled[m]
        row = int(np.floor((point[0] - low0) * down))
        column = int(np.floor((point[1] - low1) * across))
        left, right = max(column - _CELLS_ACROSS, 0), min(column + _CELLS_ACROSS, columns - 1)
        if left > right:
            continue
        for r in range(max(row - _CELLS_DOWN, 0), min(row + _CELLS_DOWN, rows - 1) + 1):
            low, high = begin[r * columns + left], begin[r * columns + right + 1]
            if dimensions == 6:
                density[m] += _sum_of_six(sorted_, point, low, high)
            else:
                density[m] += _sum_of_three(sorted_, point, low, high)
        density[m] *= scale
    return density


# Sums Σ Π (1 - t²)₊ over columns low:high of `kernels` (D, N). fastmath allows reordering the sum, and loops over whole
# slices need no check for negative indices: only both together are compiled to vector instructions. One function for
# each D: branches around slices cost as much as a hundred kernels.


@njit(cache=True, nogil=True, fastmath=True)
def _sum_of_three(kernels, point, low, high):  # type: ignore[no-untyped-def]  # compiled
    total = np.float32(0)
    one, zero = np.float32(1), np.float32(0)
    a, b, c = kernels[0, low:high], kernels[1, low:high], kernels[2, low:high]
    pa, pb, pc = point[0], point[1], point[2]
    for n in range(len(a)):
        ta, tb, tc = a[n] - pa, b[n] - pb, c[n] - pc
        total += max(one - ta * ta, zero) * max(one - tb * tb, zero) * max(one - tc * tc, zero)
    return total


@njit(cache=True, nogil=True, fastmath=True)
def _sum_of_six(kernels, point, low, high):  # type: ignore[no-untyped-def]  # compiled
    total = np.float32(0)
    one, zero = np.float32(1), np.float32(0)
    a, b, c = kernels[0, low:high], kernels[1, low:high], kernels[2, low:high]
    d, e, f = kernels[3, low:high], kernels[4, low:high], kernels[5, low:high]
    pa, pb, pc, pd, pe, pf = point[0], point[1], point[2], point[3], point[4], point[5]
    for n in range(len(a)):
        ta, tb, tc, td, te, tf = a[n] - pa, b[n] - pb, c[n] - pc, d[n] - pd, e[n] - pe, f[n] - pf
        first = max(one - ta * ta, zero) * max(one - tb * tb, zero) * max(one - tc * tc, zero)
        total += first * max(one - td * td, zero) * max(one - te * te, zero) * max(one - tf * tf, zero)
    return total
