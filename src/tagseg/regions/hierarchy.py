"""From oriented boundary energy to nested regions: watershed, boundary strengths, merging by mean strength.

The oriented watershed transform and ultrametric contour map of Arbeláez et al. 2011, Sec. 4. Every pixel belongs to a
region; boundaries run between pixels (see `arcs`).
"""

from dataclasses import dataclass

import higra
import numpy as np

from tagseg.regions.arcs import arc_channels
from tagseg.regions.modes import Hierarchy


@dataclass(frozen=True)
class RegionTree:
    """Nested regions. Leaves are the finest; a node's altitude is the strength of the boundary of its children."""

    leaves: np.ndarray  # (H, W) int32, 0..L-1
    parents: np.ndarray  # (N,) int: parent of each node; leaves come first, the root is its own parent
    altitudes: np.ndarray  # (N,) float64: 0 for leaves, never decreasing towards the root

    def cut(self, threshold: float) -> np.ndarray:
        """Regions (H, W) int32, 0..R-1 in reading order: leaves are merged below nodes of altitude <= `threshold`."""
        top = np.arange(len(self.parents))
        for node in range(len(self.parents) - 2, -1, -1):
            if self.altitudes[self.parents[node]] <= threshold:
                top[node] = top[self.parents[node]]
        count = int(self.leaves.max()) + 1
        number = np.full(len(self.parents), -1, np.int32)
        # first pixel of each leaf: assigned in reverse, so that the first pixel is written last
        first = np.empty(count, np.int64)
        first[self.leaves.ravel()[::-1]] = np.arange(self.leaves.size - 1, -1, -1)
        reading_order = np.argsort(first)
        used = 0
        for leaf in reading_order:
            if number[top[leaf]] < 0:
                number[top[leaf]] = used
                used += 1
        return number[top[:count]][self.leaves]

    def contours(self) -> np.ndarray:
        """Ultrametric contour map (H, W) float32: the altitude at which the boundaries at each pixel's corner vanish.

        The corner is the lower right one, as in image-size contour maps of the Berkeley benchmark.
        """
        down = self._altitude_between(self.leaves[:-1], self.leaves[1:])
        right = self._altitude_between(self.leaves[:, :-1], self.leaves[:, 1:])
        contours = np.zeros(self.leaves.shape, np.float32)
        contours[:-1] = down
        contours[:, :-1] = np.maximum(contours[:, :-1], right)
        corner = contours[:-1, :-1]
        np.maximum(corner, down[:, 1:], out=corner)
        np.maximum(corner, right[1:], out=corner)
        return contours

    def _altitude_between(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Altitude of the lowest common ancestor of two arrays of leaves, 0 where they are equal; float32."""
        altitude = np.zeros(first.shape, np.float32)
        differ = first != second
        count = len(self.parents)
        pairs = np.minimum(first[differ], second[differ]).astype(np.int64) * count + np.maximum(
            first[differ], second[differ]
        )
        unique, inverse = np.unique(pairs, return_inverse=True)
        if len(unique):
            common = higra.Tree(self.parents).lowest_common_ancestor(unique // count, unique % count)
            altitude[differ] = self.altitudes[common].astype(np.float32)[inverse]
        return altitude


def region_tree(energy: np.ndarray, hierarchy: Hierarchy = "oriented") -> RegionTree:
    """Nested regions of E_oriented (H, W, 8) float32 >= 0; altitudes are mean energies along boundaries.

    `hierarchy` as in `modes`.
    """
    strongest = energy.max(axis=2)
    if strongest.min() == strongest.max():  # no boundaries, or a single pixel
        return RegionTree(np.zeros(strongest.shape, np.int32), np.zeros(1, np.int64), np.zeros(1))
    graph = higra.get_4_adjacency_graph(strongest.shape)
    weights = higra.weight_graph(graph, strongest.astype(np.float64), higra.WeightFunction.mean)
    if hierarchy == "mean_pb":
        tree, altitudes = higra.mean_pb_hierarchy(graph, weights, strongest.shape)
        leaves = higra.CptRegionAdjacencyGraph.construct(tree.leaf_graph)["vertex_map"]
        return RegionTree(leaves.reshape(strongest.shape).astype(np.int32), tree.parents(), np.asarray(altitudes))
    leaves = higra.labelisation_watershed(graph, weights).astype(np.int32) - 1
    return _merge(leaves, *_line_strengths(energy, leaves, hierarchy))


def _line_strengths(
    energy: np.ndarray, leaves: np.ndarray, hierarchy: Hierarchy
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two leaves (M,) at each boundary crack, and its strength (M,): mean energy of the two adjacent pixels."""
    down, right = arc_channels(leaves)
    index = np.arange(leaves.size).reshape(leaves.shape)
    channel = np.concatenate([down.ravel(), right.ravel()])
    line = channel >= 0
    first = np.concatenate([index[:-1].ravel(), index[:, :-1].ravel()])[line]
    second = np.concatenate([index[1:].ravel(), index[:, 1:].ravel()])[line]
    flat = energy.reshape(-1, energy.shape[2])
    if hierarchy == "oriented":
        strength = (flat[first, channel[line]] + flat[second, channel[line]]) / 2
    else:
        largest = flat.max(axis=1)
        strength = (largest[first] + largest[second]) / 2
    return leaves.ravel()[first], leaves.ravel()[second], strength


def _merge(leaves: np.ndarray, first: np.ndarray, second: np.ndarray, strength: np.ndarray) -> RegionTree:
    """Repeatedly merge the two regions with the weakest mean strength along their common boundary."""
    count = int(leaves.max()) + 1
    if count == 1:
        return RegionTree(leaves, np.zeros(1, np.int64), np.zeros(1))
    pairs = np.minimum(first, second).astype(np.int64) * count + np.maximum(first, second)
    unique, inverse = np.unique(pairs, return_inverse=True)
    length = np.bincount(inverse).astype(np.float64)
    mean = np.bincount(inverse, strength) / length
    graph = higra.UndirectedGraph(count)
    graph.add_edges(unique // count, unique % count)
    tree, altitudes = higra.binary_partition_tree_average_linkage(graph, mean, length)
    return RegionTree(leaves, tree.parents(), np.asarray(altitudes))
