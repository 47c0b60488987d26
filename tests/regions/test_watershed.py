"""Crisp boundaries: the watershed against higra's, and against what defines it where heights are equal."""

import higra
import numpy as np
import pytest
from scipy import ndimage

from tagseg.regions.watershed import watershed

SIZES = [(37, 41), (1, 30), (30, 1), (2, 2), (1, 1), (12, 9)]


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1)
    return pairs.shape[1] == len(np.unique(a)) == len(np.unique(b))


def check(heights: np.ndarray) -> np.ndarray:
    """Basins: labels without gaps, each in one piece with one minimum, every pixel with a lowest neighbour of its own.

    In the graph of 4-neighbours with the mean of their heights on their edge, a minimum is a set of pixels joined by
    edges of one weight, and no edge that leaves it is as light.
    """
    basins = watershed(heights)
    assert basins.dtype == np.int32 and basins.shape == heights.shape
    assert np.unique(basins).tolist() == list(range(int(basins.max()) + 1))
    assert all(ndimage.label(basins == label)[1] == 1 for label in range(int(basins.max()) + 1))
    height, width = heights.shape
    around = {
        (y, x): [
            (v, u) for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)) if 0 <= v < height and 0 <= u < width
        ]
        for y, x in np.ndindex(heights.shape)
    }
    lightest = {p: min((heights[p] + heights[q] for q in near), default=np.inf) for p, near in around.items()}
    minima, seen = [], set()
    for start in around:
        if start in seen:
            continue
        plateau, queue, lowest = {start}, [start], True
        while queue:
            p = queue.pop()
            for q in around[p]:
                if heights[p] + heights[q] == lightest[p]:
                    lowest &= lightest[q] == lightest[p]
                    if lightest[q] == lightest[p] and q not in plateau:
                        plateau.add(q)
                        queue.append(q)
        seen |= plateau
        if lowest:
            minima.append(start)
    assert sorted(int(basins[p]) for p in minima) == list(range(int(basins.max()) + 1))
    for p, near in around.items():
        down = [q for q in near if heights[p] + heights[q] == lightest[p]]
        assert not down or any(basins[q] == basins[p] for q in down)
    return basins


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("blur", [0.0, 1.2])
def test_basins_of_different_heights_are_higras(size: tuple[int, int], blur: float) -> None:
    for seed in range(4):
        heights = np.random.default_rng(seed).uniform(size=size)
        heights = np.asarray(ndimage.gaussian_filter(heights, blur)).astype(np.float32)
        found = check(heights)
        if size == (1, 1):
            continue
        graph = higra.get_4_adjacency_graph(size)
        weights = higra.weight_graph(graph, heights.astype(np.float64), higra.WeightFunction.mean)
        assert same_partition(found, higra.labelisation_watershed(graph, weights))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("levels", [1, 2, 3, 6])
def test_plateaus_flow_to_one_minimum_each(size: tuple[int, int], levels: int) -> None:
    for seed in range(6):
        check(np.random.default_rng(seed).integers(0, levels, size).astype(np.float32))
        coarse = np.random.default_rng(seed).integers(0, levels, (size[0] // 3 + 1, size[1] // 3 + 1))
        check(np.kron(coarse, np.ones((3, 3)))[: size[0], : size[1]].astype(np.float32))
