"""A regression forest on pairs of 8-bit features that predicts PMI (Isola et al. 2014, Sec. 3.4).

Computing PMI takes thousands of kernel evaluations per pair. A forest fitted to ten thousand pairs approximates it, and
can be evaluated on millions of pairs. Features have 256 levels, a thirteenth of the density's bandwidth, so that splits
can be searched in histograms and a node fits into 40 bits.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

_LEVELS = 256
_MAX_NODES = 2**16  # per tree: a node stores the index of its child in 16 bits


@dataclass(frozen=True)
class Forest:
    """Concatenated trees. A node is child << 16 | 8 · feature; the child of a leaf is itself.

    A pair descends to `child`, counted from the first node of the tree, if its feature is at most the threshold, and
    otherwise to `child` + 1.
    """

    nodes: np.ndarray  # (N,) uint32
    thresholds: np.ndarray  # (N,) uint8, apart from the nodes: to compare bytes takes fewer instructions; 255 in leaves
    values: np.ndarray  # (N,) float32; the prediction is the mean over the leaves reached in all trees
    begins: np.ndarray  # (T + 1,) int64: the first node of each tree, and the number of nodes

    def add_predictions(self, pairs: np.ndarray, sums: np.ndarray) -> None:
        """Add the prediction for each of `pairs` (M,) uint64 (feature f in byte f) to `sums` (M,) float32, in place."""
        _add_predictions(self.nodes, self.thresholds, self.values, self.begins, pairs, sums)


def fit_forest(
    levels: np.ndarray, targets: np.ndarray, *, trees: int, features: int, smallest_leaf: int, rng: np.random.Generator
) -> Forest:
    """Fit `trees` trees to all samples: `levels` (M, F <= 8) uint8 -> `targets` (M,) float.

    Splits minimise the squared error over `features` randomly chosen features; leaves have at least `smallest_leaf`
    samples. Raises ValueError if a tree might need more than 2^16 nodes.
    """
    if 2 * (len(levels) // smallest_leaf) >= _MAX_NODES:
        raise ValueError(f"{len(levels)} samples in leaves of {smallest_leaf}: use fewer samples or larger leaves")
    nodes, thresholds, values, begins = [], [], [], [0]
    for _ in range(trees):
        child, feature, threshold, value = _grow(levels, targets.astype(np.float64), features, smallest_leaf, rng)
        nodes.append(child << 16 | 8 * feature)
        thresholds.append(threshold)
        values.append(value)
        begins.append(begins[-1] + len(child))
    return Forest(
        np.concatenate(nodes).astype(np.uint32),
        np.concatenate(thresholds).astype(np.uint8),
        np.concatenate(values).astype(np.float32),
        np.array(begins),
    )


@njit(cache=True, nogil=True)
def _grow(levels, targets, tried, smallest, rng):  # type: ignore[no-untyped-def]  # compiled
    """Grow one tree; returns arrays child, feature, threshold (of a leaf: itself, 0, 255) and value."""
    samples, width = levels.shape
    most = 2 * max(1, samples // smallest) + 1
    child = np.arange(most).astype(np.int64)
    feature = np.zeros(most, np.int64)
    threshold = np.full(most, _LEVELS - 1, np.int64)
    value = np.zeros(most)
    order = np.arange(samples)
    begin = np.zeros(most, np.int64)
    end = np.zeros(most, np.int64)
    end[0] = samples
    used = 1
    choice = np.arange(width)
    sums = np.zeros(_LEVELS)
    counts = np.zeros(_LEVELS, np.int64)
    node = 0
    while node < used:
        low, high = begin[node], end[node]
        total = 0.0
        for s in range(low, high):
            total += targets[order[s]]
        value[node] = total / max(high - low, 1)
        best_feature, best_threshold = _best_split(
            levels, targets, order[low:high], total, tried, smallest, choice, sums, counts, rng
        )
        if best_feature >= 0:
            middle = low
            for s in range(low, high):
                # swapped in any case, as a branch on what is random takes longer
                order[s], order[middle] = order[middle], order[s]
                middle += levels[order[middle], best_feature] <= best_threshold
            child[node] = used
            feature[node] = best_feature
            threshold[node] = best_threshold
            begin[used], end[used] = low, middle
            begin[used + 1], end[used + 1] = middle, high
            used += 2
        node += 1
    return child[:used], feature[:used], threshold[:used], value[:used]


@njit(cache=True, nogil=True)
def _best_split(levels, targets, samples, total, tried, smallest, choice, sums, counts, rng):  # type: ignore[no-untyped-def]  # compiled
    """The feature and the threshold that reduce the squared error of `samples` (indices) most; feature -1 if none does.

    `total` is the sum of their targets. Features are tried in random order, for which `choice` (F,) is permuted; `sums`
    and `counts` (256,) are work space.
    """
    size = len(samples)
    best, best_feature, best_threshold = total * total / max(size, 1) + 1e-9, -1, 0
    if size < 2 * smallest:
        return best_feature, best_threshold
    for i in range(len(choice)):
        j = rng.integers(i, len(choice))
        choice[i], choice[j] = choice[j], choice[i]
        f = choice[i]
        sums[:] = 0
        counts[:] = 0
        for s in samples:
            bin_ = levels[s, f]
            sums[bin_] += targets[s]
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
        # features without a valid split do not count as tried
        if i + 1 >= tried and best_feature >= 0:
            break
    return best_feature, best_threshold


@njit(cache=True, nogil=True)
def _descend(nodes, thresholds, pair, position):  # type: ignore[no-untyped-def]  # compiled
    """One step of one pair down the tree; at a leaf the position does not change."""
    node = nodes[position]
    level = np.uint8(pair >> np.uint64(node & np.uint32(63)))
    return (node >> np.uint32(16)) + np.uint32(level > thresholds[position])


@njit(cache=True, nogil=True)
def _descend_eight(nodes, thresholds, w, p):  # type: ignore[no-untyped-def]  # compiled
    """One step of eight pairs `w` at positions `p`; tuples are kept in registers, and the steps run in parallel."""
    return (
        _descend(nodes, thresholds, w[0], p[0]),
        _descend(nodes, thresholds, w[1], p[1]),
        _descend(nodes, thresholds, w[2], p[2]),
        _descend(nodes, thresholds, w[3], p[3]),
        _descend(nodes, thresholds, w[4], p[4]),
        _descend(nodes, thresholds, w[5], p[5]),
        _descend(nodes, thresholds, w[6], p[6]),
        _descend(nodes, thresholds, w[7], p[7]),
    )


@njit(cache=True, nogil=True)
def _equal_eight(p, q):  # type: ignore[no-untyped-def]  # compiled
    """Whether all eight positions are equal; one branch, where `==` of tuples takes up to eight."""
    low = (p[0] ^ q[0]) | (p[1] ^ q[1]) | (p[2] ^ q[2]) | (p[3] ^ q[3])
    return low | (p[4] ^ q[4]) | (p[5] ^ q[5]) | (p[6] ^ q[6]) | (p[7] ^ q[7]) == 0


@njit(cache=True, nogil=True)
def _add_predictions(nodes, thresholds, values, begins, pairs, sums):  # type: ignore[no-untyped-def]  # compiled
    """Implements `Forest.add_predictions`."""
    trees = len(begins) - 1
    part = np.float32(1 / trees)
    root = np.uint32(0)
    whole = len(pairs) // 8 * 8
    for tree in range(trees):
        begin, end = begins[tree], begins[tree + 1]
        own_nodes, own_thresholds, own_values = nodes[begin:end], thresholds[begin:end], values[begin:end]
        for m in range(0, whole, 8):
            w = (
                pairs[m],
                pairs[m + 1],
                pairs[m + 2],
                pairs[m + 3],
                pairs[m + 4],
                pairs[m + 5],
                pairs[m + 6],
                pairs[m + 7],
            )
            before = (root, root, root, root, root, root, root, root)
            while True:
                p = _descend_eight(own_nodes, own_thresholds, w, before)
                p = _descend_eight(own_nodes, own_thresholds, w, p)
                p = _descend_eight(own_nodes, own_thresholds, w, p)
                if _equal_eight(p, before):
                    break
                before = p
            for k in range(8):
                sums[m + k] += own_values[p[k]] * part
        for m in range(whole, len(pairs)):
            position = root
            while True:
                after = _descend(own_nodes, own_thresholds, pairs[m], position)
                if after == position:
                    break
                position = after
            sums[m] += own_values[position] * part
