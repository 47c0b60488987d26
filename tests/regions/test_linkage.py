"""Crisp boundaries: merging against higra's, and ancestors against plain ways to the root."""

import higra
import numpy as np
import pytest

from tagseg.regions.linkage import average_linkage, common_ancestors


def pieces(regions: int, seed: int, levels: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pieces of boundary between random regions, all connected; strengths of a few `levels`, or all different."""
    rng = np.random.default_rng(seed)
    first = np.concatenate([np.arange(regions - 1), rng.integers(0, regions, 6 * regions)])
    second = np.concatenate([np.arange(1, regions), rng.integers(0, regions, 6 * regions)])
    differ = first != second
    count = int(differ.sum())
    strengths = rng.integers(0, levels, count).astype(float) if levels else rng.uniform(size=count)
    return first[differ], second[differ], strengths


@pytest.mark.parametrize("regions", [2, 3, 10, 60])
@pytest.mark.parametrize("seed", range(4))
def test_trees_are_higras(regions: int, seed: int) -> None:
    first, second, strengths = pieces(regions, seed)
    parents, altitudes = average_linkage(first, second, strengths, regions)
    pairs = np.minimum(first, second) * regions + np.maximum(first, second)
    unique, inverse = np.unique(pairs, return_inverse=True)
    lengths = np.bincount(inverse).astype(np.float64)
    graph = higra.UndirectedGraph(regions)
    graph.add_edges(unique // regions, unique % regions)
    tree, wanted = higra.binary_partition_tree_average_linkage(
        graph, np.bincount(inverse, strengths) / lengths, lengths
    )
    np.testing.assert_array_equal(parents, tree.parents())
    np.testing.assert_allclose(altitudes, wanted, rtol=1e-12)


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_equal_strengths_give_a_tree_that_rises(levels: int) -> None:
    regions = 40
    first, second, strengths = pieces(regions, 0, levels)
    parents, altitudes = average_linkage(first, second, strengths, regions)
    assert len(parents) == len(altitudes) == 2 * regions - 1
    assert parents[-1] == len(parents) - 1 and (parents[:-1] > np.arange(len(parents) - 1)).all()
    assert (np.bincount(parents[:-1], minlength=len(parents))[regions:] == 2).all()
    assert not altitudes[:regions].any() and (np.diff(altitudes[regions:]) >= 0).all()


def test_one_region_is_its_own_root() -> None:
    none = np.zeros(0, np.int32)
    parents, altitudes = average_linkage(none, none, np.zeros(0), 1)
    assert parents.tolist() == [0] and altitudes.tolist() == [0]


def test_ancestors_are_where_the_ways_to_the_root_meet() -> None:
    regions = 30
    parents, _ = average_linkage(*pieces(regions, 1), regions)

    def way(node: int) -> list[int]:
        return [node] if parents[node] == node else [node, *way(int(parents[node]))]

    first, second = (axis.ravel() for axis in np.mgrid[:regions, :regions])
    wanted = [
        next(node for node in way(a) if node in way(b)) for a, b in zip(first.tolist(), second.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(common_ancestors(parents, first, second), wanted)
