"""From oriented boundary energy to nested regions: watershed, boundary strengths, merging by mean strength.

The oriented watershed transform and ultrametric contour map of Arbeláez et al. 2011, Sec. 4. Every pixel belongs to a
region; boundaries run between pixels (see `arcs`).
"""

from dataclasses import dataclass

import numpy as np

from tagseg.regions.arcs import arc_channels
from tagseg.regions.linkage import average_linkage, common_ancestors
from tagseg.regions.modes import Hierarchy
from tagseg.regions.watershed import watershed


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
            common = common_ancestors(self.parents, *np.divmod(unique, count))
            altitude[differ] = self.altitudes[common].astype(np.float32)[inverse]
        return altitude


def region_tree(energy: np.ndarray, hierarchy: Hierarchy = "oriented") -> RegionTree:
    """Nested regions of E_oriented (H, W, 8) float32 >= 0; altitudes are mean energies along boundaries.

    `hierarchy` as in `modes`.
    """
    strongest = energy.max(axis=2)
    if strongest.min() == strongest.max():  # no boundaries, or a single pixel
        return RegionTree(np.zeros(strongest.shape, np.int32), np.zeros(1, np.int64), np.zeros(1))
    if hierarchy == "mean_pb":
        return _mean_pb(strongest)
    leaves = watershed(strongest)
    first, second, strengths = _line_strengths(energy, leaves, hierarchy)
    return RegionTree(leaves, *average_linkage(first, second, strengths, int(leaves.max()) + 1))


def _mean_pb(strongest: np.ndarray) -> RegionTree:
    """The hierarchy of that name in the library higra, of energies (H, W) float32."""
    import higra  # here: it takes half a second to load, and only comparisons need it

    graph = higra.get_4_adjacency_graph(strongest.shape)
    weights = higra.weight_graph(graph, strongest.astype(np.float64), higra.WeightFunction.mean)
    tree, altitudes = higra.mean_pb_hierarchy(graph, weights, strongest.shape)
    leaves = higra.CptRegionAdjacencyGraph.construct(tree.leaf_graph)["vertex_map"]
    return RegionTree(
        leaves.reshape(strongest.shape).astype(np.int32), tree.parents().astype(np.int64), np.asarray(altitudes)
    )


def _line_strengths(
    energy: np.ndarray, leaves: np.ndarray, hierarchy: Hierarchy
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two leaves (M,) at each boundary crack, and its strength (M,): mean energy of the two adjacent pixels."""
    first, second, strengths = [], [], []
    for channels, down, right in zip(arc_channels(leaves), (1, 0), (0, 1), strict=True):
        y, x = np.nonzero(channels >= 0)
        v, u = y + down, x + right
        if hierarchy == "oriented":
            channel = channels[y, x]
            strength = (energy[y, x, channel] + energy[v, u, channel]) / 2
        else:
            strength = (energy[y, x].max(axis=1) + energy[v, u].max(axis=1)) / 2
        first.append(leaves[y, x])
        second.append(leaves[v, u])
        strengths.append(strength)
    return np.concatenate(first), np.concatenate(second), np.concatenate(strengths)
