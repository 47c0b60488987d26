"""Affinities between all pixels at most five apart, stored by offset: W = exp(PMI) over all feature sets.

A symmetric affinity of an h x w grid is kept as `stencil` (41, h, w): entry (k, y, x) belongs to the pixels (y, x) and
(y, x) + OFFSETS[k], and is zero where the second lies outside. No sparse matrix is needed, and a stencil of this
radius stays one under the decimation of `cuts`.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit

from tagseg.regions.density import PairDensity, order_pairs
from tagseg.regions.forest import Forest, add_predictions, fit_forest

RADIUS = 5
# The pixel itself, and that half of its neighbours within the radius that follows it in reading order.
OFFSETS = np.array(
    [
        (dy, dx)
        for dy in range(RADIUS + 1)
        for dx in range(-RADIUS, RADIUS + 1)
        if dy**2 + dx**2 <= RADIUS**2 and (dy, dx) >= (0, 0)
    ]
)


def sample_local_pairs(size: tuple[int, int], count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices of `count` random pairs at most RADIUS apart, each possible pair equally likely."""
    height, width = size
    dy, dx = OFFSETS[1:].T
    room = np.maximum(height - dy, 0) * np.maximum(width - np.abs(dx), 0)
    if not room.sum():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    chosen = rng.choice(len(room), count, p=room / room.sum())
    dy, dx = dy[chosen], dx[chosen]
    y = rng.integers(0, height - dy)
    x = rng.integers(0, width - np.abs(dx)) + np.maximum(-dx, 0)
    return y * width + x, (y + dy) * width + x + dx


def fit_pmi_forest(
    features: np.ndarray,
    density: PairDensity,
    *,
    samples: int,
    trees: int,
    split_features: int,
    smallest_leaf: int,
    rng: np.random.Generator,
) -> Forest:
    """Forest that predicts PMI of the pairs of `features` (H, W, 3) float32 from 8-bit copies of them."""
    first, second = sample_local_pairs(features.shape[:2], samples, rng)
    pixels = features.reshape(-1, features.shape[2])
    targets = density.pmi(pixels, first, second)
    levels = quantise(pixels)
    pairs = order_pairs(np.hstack([levels[first], levels[second]]))
    return fit_forest(pairs, targets, trees=trees, features=split_features, smallest_leaf=smallest_leaf, rng=rng)


def quantise(features: np.ndarray) -> np.ndarray:
    """Features in [0, 1] as uint8 in 256 levels."""
    return np.floor(features * 255 + 0.5).astype(np.uint8)


def forest_affinity(features: Sequence[np.ndarray], forests: Sequence[Forest]) -> np.ndarray:
    """Stencil (41, H, W) float32 of Π exp(PMI) over the feature sets (H, W, 3) in [0, 1], as their forests predict it."""
    height, width = features[0].shape[:2]
    stencil = np.zeros((len(OFFSETS), height, width), np.float32)
    for maps, forest in zip(features, forests, strict=True):
        _add_pmi(quantise(maps), forest.nodes, forest.values, forest.begins, OFFSETS, stencil)
    _exponentiate(OFFSETS, stencil)
    return stencil


@njit(cache=True, nogil=True)
def _add_pmi(levels, nodes, values, begins, offsets, stencil):  # type: ignore[no-untyped-def]  # compiled
    """Add predicted PMI to the entries of `stencil` that lie inside; a pair's six levels make one word."""
    _, height, width = stencil.shape
    pairs = np.zeros(width, np.uint64)
    for k in range(1, len(offsets)):
        dy, dx = offsets[k]
        low, high = max(0, -dx), width - max(0, dx)
        for y in range(height - dy):
            for x in range(low, high):
                a, b = levels[y, x], levels[y + dy, x + dx]
                word = np.int64(max(a[0], b[0])) | np.int64(a[1]) << 8 | np.int64(a[2]) << 16
                pairs[x] = word | np.int64(min(a[0], b[0])) << 24 | np.int64(b[1]) << 32 | np.int64(b[2]) << 40
            if low < high:
                add_predictions(nodes, values, begins, pairs[low:high], stencil[k, y, low:high])


@njit(cache=True, nogil=True)
def _exponentiate(offsets, stencil):  # type: ignore[no-untyped-def]  # compiled
    _, height, width = stencil.shape
    for k in range(1, len(offsets)):
        dy, dx = offsets[k]
        for y in range(height - dy):
            for x in range(max(0, -dx), width - max(0, dx)):
                stencil[k, y, x] = np.exp(stencil[k, y, x])
