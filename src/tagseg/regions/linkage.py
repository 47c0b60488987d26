"""Agglomeration of regions by the mean strength of their common boundary, and ancestors in the tree it gives."""

import heapq

import numpy as np
from numba import njit


def average_linkage(
    first: np.ndarray, second: np.ndarray, strengths: np.ndarray, regions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Repeatedly merge the two of `regions` regions whose common boundary has the least mean strength.

    `first`, `second` (M,) int are the regions at each piece of boundary, `strengths` (M,) >= 0 its strengths; all
    regions are connected. Returns the tree's `parents` (2 regions - 1,) int64, where regions come first, then what
    they are merged to, the last being its own parent; and `altitudes` (2 regions - 1,) float64, 0 of the regions and
    else the mean at which a node came to be, never decreasing.
    """
    pairs = np.minimum(first, second).astype(np.int64) * regions + np.maximum(first, second)
    unique, inverse = np.unique(pairs, return_inverse=True)
    ends = np.stack(np.divmod(unique, regions), axis=1)
    return _merge(ends, np.bincount(inverse, strengths), np.bincount(inverse).astype(np.float64), regions)


@njit(cache=True, nogil=True)
def _merge(ends, totals, lengths, regions):  # type: ignore[no-untyped-def]  # compiled
    """Implements `average_linkage`, given each pair `ends` (E, 2) with its total strength and length.

    An edge between two regions is an edge of the region that they are merged to. Where two edges come to connect the
    same regions, one of them takes up the other, and goes into the heap once more with its new mean; what is in the
    heap under a former mean is passed over.
    """
    edges = len(ends)
    nodes = 2 * regions - 1
    parents, altitudes = np.arange(nodes), np.zeros(nodes)
    means = totals / lengths
    alive = np.ones(edges, np.bool_)
    # lists of half edges, that is 2 edge + end, of each node
    heads, after = np.full(nodes, -1), np.full(2 * edges, -1)
    for half in range(2 * edges):
        node = ends[half // 2, half % 2]
        after[half], heads[node] = heads[node], half
    heap = [(means[edge], edge) for edge in range(edges)]
    heapq.heapify(heap)
    # of each neighbour: by which node it was reached last, along which edge
    reached, edge_to = np.full(nodes, -1), np.zeros(nodes, np.int64)
    highest = 0.0
    for node in range(regions, nodes):
        mean, edge = heapq.heappop(heap)
        while not alive[edge] or mean != means[edge]:
            mean, edge = heapq.heappop(heap)
        alive[edge] = False
        highest = max(highest, mean)  # a mean of larger means may be rounded down
        altitudes[node] = highest
        for part in ends[edge].copy():
            parents[part] = node
            half = heads[part]
            while half >= 0:
                following, other = after[half], half // 2
                if alive[other]:
                    neighbour = ends[other, 1 - half % 2]
                    if reached[neighbour] == node:
                        same = edge_to[neighbour]
                        alive[other] = False
                        totals[same] += totals[other]
                        lengths[same] += lengths[other]
                        means[same] = totals[same] / lengths[same]
                        heapq.heappush(heap, (means[same], same))
                    else:
                        reached[neighbour], edge_to[neighbour] = node, other
                        ends[other, half % 2] = node
                        after[half], heads[node] = heads[node], half
                half = following
    return parents, altitudes


@njit(cache=True, nogil=True)
def common_ancestors(parents: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Lowest common ancestors (M,) int64 of nodes `first` and `second` (M,) int; `parents` (N,) have higher numbers."""
    found = np.empty(len(first), np.int64)
    for m in range(len(first)):
        a, b = first[m], second[m]
        while a != b:
            if a < b:
                a = parents[a]
            else:
                b = parents[b]
        found[m] = a
    return found
