"""Which boundary pixels of two maps correspond: maximum matching of pixels that lie near each other."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Pairs = tuple[NDArray[np.int32], NDArray[np.int32]]


def near_pairs(truth: NDArray[np.bool_], distance: float) -> Pairs:
    """All pairs (pixel of the grid, true pixel) no farther apart than `distance` pixels, nearest first.

    `truth` is (H, W); returned are the flat index of the pixel and the number of the true pixel, in row order, both
    (pairs,). They depend on the truth alone, so that one list serves the maps of all thresholds.
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
    """Match predicted to true pixels, each at most once, as many as can be, along `pairs` of `near_pairs`.

    `predicted` is (H, W), `truths` the number of true pixels. Returns which predicted pixels found a partner (H, W),
    and how many did, which is also the number of true pixels that did.

    BSDS' correspondPixels looks for the cheapest assignment, with 100 times the largest distance as the price of a
    pixel without a partner. So it matches as many pixels as this does; where it may choose which, it takes near ones.
    Here pairs are taken nearest first, then augmenting paths, which leave no matched pixel without a partner, add what
    is missing: that keeps most of the preference, and the result depends on nothing but the input.
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
    """Partner on the right of each of `lefts` nodes, -1 for none; edges (left, right) are taken in their order first.

    Then depth-first searches for augmenting paths from every free node on the left, in rounds. A node on the right
    is visited once a round: no path leads through one whose search failed. A round without success ends it.
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
    place = start[:-1].copy()
    targets = np.empty(left.size, np.int32)
    for edge in range(left.size):
        targets[place[left[edge]]] = right[edge]
        place[left[edge]] += 1

    visited = np.full(rights, -1, np.int32)
    path = np.empty(lefts + 1, np.int32)
    turn, improved = 0, True
    while improved:
        improved = False
        place[:] = start[:-1]
        for root in range(lefts):
            if partner[root] >= 0:
                continue
            path[0] = root
            depth = 0
            while depth >= 0:
                node = path[depth]
                if place[node] == start[node + 1]:
                    depth -= 1
                    continue
                target = targets[place[node]]
                place[node] += 1
                if visited[target] == turn:
                    continue
                visited[target] = turn
                if back[target] >= 0:
                    depth += 1
                    path[depth] = back[target]
                    continue
                # a free node: along the path every node takes the target it looked at last
                for step in range(depth, -1, -1):
                    node = path[step]
                    target = targets[place[node] - 1]
                    partner[node] = target
                    back[target] = node
                improved = True
                break
        turn += 1
    return partner
