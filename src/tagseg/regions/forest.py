"""A small regression forest on pairs of 8-bit features: fitted in milliseconds, evaluated on millions of pairs.

PMI costs thousands of kernel evaluations a pair; a forest that has seen ten thousand pairs predicts it well enough
(Isola et al. 2014, Sec. 3.4). Features come in 256 levels, a thirteenth of the density's bandwidth, so that splits are
searched in histograms and a node fits into one word.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

_LEVELS = 256
_LANES = 16  # pairs that go down a tree in step, so that the processor waits for none of them
_FEATURE_BITS = 3
_THRESHOLD_BITS = 8


@dataclass(frozen=True)
class Forest:
    """Trees one after the other. Node: child << 11 | threshold << 3 | feature; a leaf's child is itself.

    A pair goes to `child` where its feature is at most the threshold, else to `child` + 1.
    """

    nodes: np.ndarray  # (N,) int32
    values: np.ndarray  # (N,) float32, of leaves; mean over the trees is the prediction
    roots: np.ndarray  # (T,) int32
    depths: np.ndarray  # (T,) int32


def fit_forest(
    levels: np.ndarray, targets: np.ndarray, *, trees: int, features: int, smallest_leaf: int, rng: np.random.Generator
) -> Forest:
    """Trees on all samples of `levels` (M, F <= 8) uint8 -> `targets` (M,), `features` random ones tried at a split.

    Splits minimise squared error; no leaf has fewer than `smallest_leaf` samples.
    """
    nodes, values, roots, depths = [], [], [], []
    start = 0
    for _ in range(trees):
        grown = _grow(levels, targets.astype(np.float64), features, smallest_leaf, int(rng.integers(2**31)))
        child, feature, threshold, value, depth = grown
        nodes.append((child + start) << (_FEATURE_BITS + _THRESHOLD_BITS) | threshold << _FEATURE_BITS | feature)
        values.append(value)
        roots.append(start)
        depths.append(depth)
        start += len(child)
    return Forest(
        np.concatenate(nodes).astype(np.int32),
        np.concatenate(values).astype(np.float32),
        np.array(roots, np.int32),
        np.array(depths, np.int32),
    )


@njit(cache=True, nogil=True)
def _grow(levels, targets, tried, smallest, seed):  # type: ignore[no-untyped-def]  # compiled
    """One tree as arrays child, feature, threshold (leaf: itself, 0, 255), value, and its depth."""
    np.random.seed(seed)
    samples, width = levels.shape
    most = 2 * max(1, samples // smallest) + 1
    child = np.arange(most).astype(np.int64)
    feature = np.zeros(most, np.int64)
    threshold = np.full(most, _LEVELS - 1, np.int64)
    value = np.zeros(most)
    order = np.arange(samples)
    begin = np.zeros(most, np.int64)
    end = np.zeros(most, np.int64)
    level = np.zeros(most, np.int64)
    end[0] = samples
    used = 1
    deepest = 0
    choice = np.arange(width)
    sums = np.zeros(_LEVELS)
    counts = np.zeros(_LEVELS, np.int64)
    node = 0
    while node < used:
        low, high = begin[node], end[node]
        total = 0.0
        for s in range(low, high):
            total += targets[order[s]]
        size = high - low
        value[node] = total / max(size, 1)
        deepest = max(deepest, level[node])
        best, best_feature, best_threshold = total * total / max(size, 1) + 1e-9, -1, 0
        if size >= 2 * smallest:
            for i in range(width):
                j = np.random.randint(i, width)
                choice[i], choice[j] = choice[j], choice[i]
                f = choice[i]
                sums[:] = 0
                counts[:] = 0
                for s in range(low, high):
                    bin_ = levels[order[s], f]
                    sums[bin_] += targets[order[s]]
                    counts[bin_] += 1
                left_sum, left = 0.0, 0
                for t in range(_LEVELS - 1):
                    if counts[t] == 0:
                        continue
                    left_sum += sums[t]
                    left += counts[t]
                    if left < smallest:
                        continue
                    if size - left < smallest:
                        break
                    gain = left_sum * left_sum / left + (total - left_sum) ** 2 / (size - left)
                    if gain > best:
                        best, best_feature, best_threshold = gain, f, t
                # features that cannot split do not count among those tried
                if i + 1 >= tried and best_feature >= 0:
                    break
        if best_feature >= 0:
            middle = low
            for s in range(low, high):
                if levels[order[s], best_feature] <= best_threshold:
                    order[s], order[middle] = order[middle], order[s]
                    middle += 1
            child[node] = used
            feature[node] = best_feature
            threshold[node] = best_threshold
            begin[used], end[used], level[used] = low, middle, level[node] + 1
            begin[used + 1], end[used + 1], level[used + 1] = middle, high, level[node] + 1
            used += 2
        node += 1
    return child[:used], feature[:used], threshold[:used], value[:used], deepest


@njit(cache=True, nogil=True)
def add_predictions(nodes, values, roots, depths, pairs, sums):  # type: ignore[no-untyped-def]  # compiled
    """Add the mean of the trees for each of `pairs` (M,) int64, feature f in byte f, to `sums` (M,) float32."""
    place = np.zeros(_LANES, np.int32)
    for tree in range(len(roots)):
        for start in range(0, len(pairs), _LANES):
            lanes = min(_LANES, len(pairs) - start)
            for k in range(lanes):
                place[k] = roots[tree]
            moved = True
            while moved:
                moved = False
                for _ in range(4):
                    change = np.int32(0)
                    for k in range(lanes):
                        node = nodes[place[k]]
                        level = (pairs[start + k] >> ((node & 7) << 3)) & 255
                        new = (node >> 11) + np.int32(level > ((node >> 3) & 255))
                        change |= new ^ place[k]
                        place[k] = new
                moved = change != 0
            for k in range(lanes):
                sums[start + k] += values[place[k]] / np.float32(len(roots))
