"""Affinities W = Π exp(PMI) over all feature sets, between all pixels at most five apart (Isola et al. 2014, Sec. 3).

The symmetric affinity of an h x w grid is stored as a `stencil` (41, h, w): entry (k, y, x) is the affinity of the
pixels (y, x) and (y, x) + OFFSETS[k], and 0 if the latter is outside the grid. This avoids a sparse matrix, and
decimation (see `cuts`) maps a stencil to a stencil of the same radius.
"""

from collections.abc import Sequence

import numpy as np

from tagseg.regions.density import PairDensity, order_pairs
from tagseg.regions.forest import Forest, fit_forest

RADIUS = 5  # pixels
# (dy, dx) of the pixel itself, and of the half of its neighbours within the radius that follows it in reading order
OFFSETS = np.array(
    [
        (dy, dx)
        for dy in range(RADIUS + 1)
        for dx in range(-RADIUS, RADIUS + 1)
        if dy**2 + dx**2 <= RADIUS**2 and (dy, dx) >= (0, 0)
    ]
)


def sample_local_pairs(size: tuple[int, int], count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` pairs of pixels at most RADIUS apart, uniformly, from an image of `size` (H, W).

    Returns the flat indices of the first and second pixels, both (count,) int64; empty if there is no such pair.
    """
    height, width = size
    dy, dx = OFFSETS[1:].T
    possible = np.maximum(height - dy, 0) * np.maximum(width - np.abs(dx), 0)
    if not possible.sum():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    chosen = rng.choice(len(possible), count, p=possible / possible.sum())
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
    """Fit a forest to the PMI (see `PairDensity.pmi`) of `samples` random pairs of `features` (H, W, 3) float32.

    `features` are in [0, 1]; the forest predicts from their quantised values, ordered by `order_pairs`. `trees`,
    `split_features` and `smallest_leaf` as in `fit_forest`.
    """
    first, second = sample_local_pairs(features.shape[:2], samples, rng)
    pixels = features.reshape(-1, features.shape[2])
    targets = density.pmi(pixels, first, second)
    levels = quantise(pixels)
    pairs = order_pairs(np.hstack([levels[first], levels[second]]))
    return fit_forest(pairs, targets, trees=trees, features=split_features, smallest_leaf=smallest_leaf, rng=rng)


def quantise(features: np.ndarray) -> np.ndarray:
    """Quantise features in [0, 1] to 256 levels: any shape, float -> uint8."""
    return np.floor(features * 255 + 0.5).astype(np.uint8)


def forest_affinity(
    features: Sequence[np.ndarray], forests: Sequence[Forest], *, kept_only: bool = False
) -> np.ndarray:
    """Stencil (41, H, W) float32 of Π exp(PMI), with the PMI of each feature set predicted by its forest.

    `features` are arrays (H, W, 3) float32 in [0, 1], one per forest. The affinity of a pixel with itself is 0. With
    `kept_only`, so are those of pairs without a pixel of odd row and column: four in seven, which decimation never
    reads (see `cuts.kept_rows`), and which take as long as the others.
    """
    height, width = features[0].shape[:2]
    stencil = np.zeros((len(OFFSETS), height, width), np.float32)
    packed = [_pack(quantise(maps)) for maps in features]
    for weights, (dy, dx) in zip(stencil[1:], OFFSETS[1:].tolist(), strict=True):
        # (row, column) and step of the first pixels: all, or those that are kept, and those whose second pixel is
        starts, step = ({(1, 1), ((1 - dy) % 2, (1 - dx) % 2)}, 2) if kept_only else ({(0, 0)}, 1)
        for row, column in sorted(starts):
            left = max(0, -dx)
            left += (column - left) % step
            first = np.s_[row : max(height - dy, 0) : step, left : max(width - dx, 0) : step]
            second = np.s_[row + dy :: step, left + dx : max(width + dx, 0) if dx < 0 else None : step]
            weights[first] = _products(packed, forests, first, second)
    return stencil


def _products(
    packed: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    forests: Sequence[Forest],
    first: tuple[slice, slice],
    second: tuple[slice, slice],
) -> np.ndarray:
    """Π exp(PMI) float32 of the pairs of pixels in two slices of equal shape; `packed` are images of `_pack`."""
    size = packed[0][0][first].shape
    pmi = np.zeros(size[0] * size[1], np.float32)
    for (channel, as_first, as_second), forest in zip(packed, forests, strict=True):
        # the larger of the two first channels comes first, as in `order_pairs`
        a, b = channel[first], channel[second]
        pairs = as_first[first] | as_second[second] | np.maximum(a, b) | np.minimum(a, b) << np.uint64(24)
        forest.add_predictions(pairs.ravel(), pmi)
    return np.exp(pmi, out=pmi).reshape(size)


def _pack(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels (H, W, 3) uint8 as three uint64 arrays (H, W), to be combined by `|` into the pairs of `Forest`.

    Channel 0; channels 1 and 2 in the bytes of the first pixel of a pair; the same in those of the second.
    """
    wide = levels.astype(np.uint64)
    rest = wide[..., 1] << np.uint64(8) | wide[..., 2] << np.uint64(16)
    return wide[..., 0], rest, rest << np.uint64(24)
