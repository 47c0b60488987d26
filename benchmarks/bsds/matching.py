"""Correspondence of boundary pixels of two maps: maximum matching of nearby pixels."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Pairs = tuple[NDArray[np.int32], NDArray[np.int32]]


def near_pairs(truth: NDArray[np.bool_], distance: float) -> Pairs:
    """All pairs (pixel of the grid, true pixel) at most `distance` pixels apart, nearest first.

    `truth` is (H, W). Returns the flat index of the pixel and the index of the true pixel in row order, both (pairs,).
    They depend on the truth alone, so the pairs can be reused for all thresholds.
    """
    height, width = truth.shape
    reach = int(distance)
    steps = np.arange(-reach, reach + 1)
    dy, dx = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    squared = dy**2 + dx**2
    order = np.argsort(squared, kind="stable")[: np.count_nonzero(squared <= distance**2)]
    y, x = (axis + step[order, None] for axis, step in zip(np.nonzero(truth), (dy, dx), strict=True))
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    numbers = np.broadcast_to(np.arange(y.shape[1], dtype=np.int32), y.shape)
    return (y * width + x)[inside].astype(np.int32), numbers[inside]


def match(predicted: NDArray[np.bool_], truths: int, pairs: Pairs) -> tuple[NDArray[np.bool_], int]:
    """Maximum one-to-one matching of predicted and true pixels along `pairs` of `near_pairs`.

    `predicted` is (H, W), `truths` the number of true pixels. Returns which predicted pixels are matched, (H, W) bool,
    and their number, which is also the number of matched true pixels.

    correspondPixels of BSDS computes an assignment of minimum cost in which an unmatched pixel costs 100 times the
    largest distance. It therefore matches equally many pixels, and prefers near ones. Here pairs are first matched
    greedily, nearest first; augmenting paths, which keep matched pixels matched, then add the missing ones. This
    preserves most of the preference and is deterministic.
    """
    flat = predicted.ravel()
    numbers = np.cumsum(flat, dtype=np.int32) - 1
    kept = flat[pairs[0]]
    partner = _maximum_matching(numbers[pairs[0][kept]], pairs[1][kept], int(numbers[-1]) + 1, truths)
    found = np.zeros(predicted.shape, dtype=bool)
    found[predicted] = partner >= 0
    return found, int(np.count_nonzero(partner >= 0))


@njit(cache=True)
def _maximum_matching(left, right, lefts, rights):  # type: ignore[no-untyped-def]
    """Partner on the right of each of `lefts` nodes, or -1: edges (left, right) are first matched greedily, in order.

    Then, in rounds, a depth-first search for an augmenting path starts from every free node on the left. Each node on
    the right is visited once per round, since no path leads through a node whose search failed. Stops after a round
    without success.
    """
    partner = np.full(lefts, -1, np.int32)
    back = np.full(rights, -1, np.int32)
    start = np.zeros(lefts + 1, np.int32)
    for edge in range(left.size):
        start[left[edge] + 1] += 1
        if partner[left[edge]] < 0 and back[right[edge]] < 0:
            partner[left[edge]] = right[edge]
            back[right[edge]] = left[edge]
    start = np.cumsum(start).astype(np.int32)
    position = start[:-1].copy()
    targets = np.empty(left.size, np.int32)
    for edge in range(left.size):
        targets[position[left[edge]]] = right[edge]
        position[left[edge]] += 1

    visited = np.full(rights, -1, np.int32)
    path = np.empty(lefts + 1, np.int32)
    turn, improved = 0, True
    while improved:
        improved = False
        position[:] = start[:-1]
        for root in range(lefts):
            if partner[root] >= 0:
                continue
            path[0] = root
            depth = 0
            while depth >= 0:
                node = path[depth]
                if position[node] == start[node + 1]:
                    depth -= 1
                    continue
                target = targets[position[node]]
                position[node] += 1
                if visited[target] == turn:
                    continue
                visited[target] = turn
                if back[target] >= 0:
                    depth += 1
                    path[depth] = back[target]
                    continue
                # a free node: every node along the path is matched to its last visited target
                for step in range(depth, -1, -1):
                    node = path[step]
                    target = targets[position[node] - 1]
                    partner[node] = target
                    back[target] = node
                improved = True
                break
        turn += 1
    return partner
