"""Affinities between all pixels at most five apart, stored by offset: W = exp(PMI) over all feature sets.

A symmetric affinity of an h x w grid is kept as `stencil` (41, h, w): entry (k, y, x) belongs to the pixels (y, x) and
(y, x) + OFFSETS[k], and is zero where the second lies outside. No sparse matrix is needed, and a stencil of this
radius stays one under the decimation of `cuts`.
"""

from collections.abc import Sequence

import numpy as np

from tagseg.regions.density import PairDensity, order_pairs
from tagseg.regions.forest import Forest, fit_forest

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
    """Stencil (41, H, W) float32 of Π exp(PMI) over feature sets (H, W, 3) in [0, 1], as their forests predict it."""
    height, width = features[0].shape[:2]
    stencil = np.zeros((len(OFFSETS), height, width), np.float32)
    words = [_words(quantise(maps)) for maps in features]
    for weights, (dy, dx) in zip(stencil[1:], OFFSETS[1:].tolist(), strict=True):
        first = np.s_[: max(height - dy, 0), max(0, -dx) : max(width - dx, 0)]
        second = np.s_[dy:, max(0, dx) : max(width + dx, 0)]
        pmi = np.zeros(weights[first].size, np.float32)
        for (channel, as_first, as_second), forest in zip(words, forests, strict=True):
            # the larger of the two first channels goes first, as in `order_pairs`
            a, b = channel[first], channel[second]
            pairs = as_first[first] | as_second[second] | np.maximum(a, b) | np.minimum(a, b) << np.uint64(24)
            forest.add_predictions(pairs.ravel(), pmi)
        weights[first] = np.exp(pmi).reshape(weights[first].shape)
    return stencil


def _words(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels (H, W, 3) as uint64 (H, W): channel 0; channels 1, 2 in the bytes of a pair's first pixel; and second."""
    wide = levels.astype(np.uint64)
    rest = wide[..., 1] << np.uint64(8) | wide[..., 2] << np.uint64(16)
    return wide[..., 0], rest, rest << np.uint64(24)
