"""Crisp boundaries: the forest against tree walks and exhaustive search, the affinity against loops over pairs."""

from collections.abc import Iterator

import numpy as np
import pytest

from tagseg.regions.affinity import OFFSETS, RADIUS, fit_pmi_forest, forest_affinity, quantise, sample_local_pairs
from tagseg.regions.density import fit_density, order_pairs
from tagseg.regions.forest import Forest, fit_forest


def packed(levels: np.ndarray) -> np.ndarray:
    """Rows (M, F) uint8 as words, feature f in byte f."""
    return (levels.astype(np.uint64) << (8 * np.arange(levels.shape[1], dtype=np.uint64))).sum(axis=1, dtype=np.uint64)


def walk(forest: Forest, levels: np.ndarray) -> float:
    """Mean over the trees of the leaf that one sample (F,) ends in."""
    found = []
    for begin in forest.begins[:-1].tolist():
        place = 0
        while True:
            node = int(forest.nodes[begin + place])
            child, threshold, feature = node >> 16, int(forest.thresholds[begin + place]), (node & 255) // 8
            if child == place:
                break
            place = child + int(levels[feature] > threshold)
        found.append(float(forest.values[begin + place]))
    return float(np.mean(found))


def samples(count: int = 60, width: int = 4, levels: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    rows = (rng.integers(0, levels, (count, width)) * (255 // (levels - 1))).astype(np.uint8)
    targets = np.where(rows[:, 2] > 100, 5, 1) + rows[:, 1] / 80 + rng.normal(0, 0.3, count)
    return rows, targets


def smallest_error(rows: np.ndarray, targets: np.ndarray, smallest: int) -> float:
    """Least sum of squared deviations from the means of two groups, over all features and thresholds."""
    errors = [np.inf]
    for feature in range(rows.shape[1]):
        for threshold in range(255):
            left = rows[:, feature] <= threshold
            if smallest <= left.sum() <= len(left) - smallest:
                errors.append(sum(((targets[part] - targets[part].mean()) ** 2).sum() for part in (left, ~left)))
    return float(min(errors))


def first_tree(forest: Forest, rows: np.ndarray) -> Iterator[tuple[bool, float, np.ndarray, np.ndarray]]:
    """Of each node: whether it is a leaf, its value, the samples that reach it, those of them that go left."""
    queue = [(0, np.ones(len(rows), bool))]
    while queue:
        place, here = queue.pop()
        node = int(forest.nodes[place])
        child, threshold, feature = node >> 16, int(forest.thresholds[place]), (node & 255) // 8
        left = rows[:, feature] <= threshold
        yield child == place, float(forest.values[place]), here, here & left
        if child != place:
            queue += [(child, here & left), (child + 1, here & ~left)]


def test_every_split_is_the_best_of_all_features_and_thresholds() -> None:
    rows, targets = samples()
    forest = fit_forest(rows, targets, trees=1, features=4, smallest_leaf=5, rng=np.random.default_rng(0))
    leaves = 0
    for leaf, value, here, left in first_tree(forest, rows):
        best = smallest_error(rows[here], targets[here], 5)
        deviation = ((targets[here] - targets[here].mean()) ** 2).sum()
        if leaf:
            leaves += 1
            assert value == pytest.approx(targets[here].mean(), rel=1e-5) and best == np.inf
        else:
            parts = [left, here & ~left]
            error = sum(((targets[part] - targets[part].mean()) ** 2).sum() for part in parts)
            assert min(part.sum() for part in parts) >= 5
            assert error == pytest.approx(best, rel=1e-6) and error < deviation
    assert leaves > 5


@pytest.mark.parametrize("far", [slice(None, 4), slice(-4, None)])
def test_no_leaf_has_fewer_samples_than_allowed(far: slice) -> None:
    """Four samples at one end are unlike all others: a fifth has to go with them."""
    targets = np.zeros(20)
    targets[far] = 100
    rows = np.arange(20, dtype=np.uint8)[:, None]
    forest = fit_forest(rows, targets, trees=1, features=1, smallest_leaf=5, rng=np.random.default_rng(0))
    assert [walk(forest, row) for row in rows].count(pytest.approx(80)) == 5


def test_fewer_features_a_split_give_other_trees_on_the_same_samples() -> None:
    rows, targets = samples(200)
    forest = fit_forest(rows, targets, trees=20, features=1, smallest_leaf=5, rng=np.random.default_rng(0))
    roots = forest.nodes[forest.begins[:-1]]
    assert {(int(node) & 255) // 8 for node in roots} == {0, 1, 2, 3}
    for begin, end in zip(forest.begins[:-1], forest.begins[1:], strict=True):
        assert forest.values[begin] == pytest.approx(targets.mean(), rel=1e-5)
        assert end - begin > 10


@pytest.mark.parametrize("count", [1, 7, 8, 29])
def test_predictions_are_those_of_a_plain_tree_walk_and_are_added(count: int) -> None:
    rows, targets = samples(300, width=6, levels=40)
    forest = fit_forest(rows, targets, trees=3, features=3, smallest_leaf=5, rng=np.random.default_rng(0))
    tried = np.random.default_rng(1).integers(0, 256, (count, 6), dtype=np.uint8)
    sums = np.arange(count, dtype=np.float32)
    forest.add_predictions(packed(tried), sums)
    wanted = [i + walk(forest, row) for i, row in enumerate(tried)]
    np.testing.assert_allclose(sums, wanted, rtol=1e-5)
    assert count < 8 or len(np.unique(sums - np.arange(count, dtype=np.float32))) > 3


def test_a_forest_learns_a_step_that_eight_bits_show() -> None:
    rows, _ = samples(2000, width=6, levels=52)
    targets = np.where(rows[:, 5] > 127, 3.0, -1.0)
    forest = fit_forest(rows, targets, trees=4, features=6, smallest_leaf=5, rng=np.random.default_rng(0))
    sums = np.zeros(len(rows), np.float32)
    forest.add_predictions(packed(rows), sums)
    np.testing.assert_allclose(sums, targets, atol=1e-6)
    assert np.diff(forest.begins).tolist() == [3] * 4  # a root and two leaves, since nothing more is to gain


def test_equal_samples_and_no_samples_make_single_leaves() -> None:
    settings = {"trees": 2, "features": 3, "smallest_leaf": 5}
    rng = np.random.default_rng(0)
    same = fit_forest(np.full((20, 6), 9, np.uint8), np.arange(20.0), rng=rng, **settings)
    assert len(same.nodes) == 2 and same.values.tolist() == [9.5, 9.5]
    none = fit_forest(np.zeros((0, 6), np.uint8), np.zeros(0), rng=rng, **settings)
    assert none.values.tolist() == [0, 0]


def test_trees_too_large_for_their_nodes_are_refused() -> None:
    with pytest.raises(ValueError, match="fewer samples or larger leaves"):
        fit_forest(
            np.zeros((40_000, 1), np.uint8),
            np.zeros(40_000),
            trees=1,
            features=1,
            smallest_leaf=1,
            rng=np.random.default_rng(0),
        )


def test_offsets_are_half_of_the_disk() -> None:
    disk = {(dy, dx) for dy in range(-5, 6) for dx in range(-5, 6) if dy**2 + dx**2 <= 25}
    half = {tuple(offset) for offset in OFFSETS.tolist()}
    assert RADIUS == 5 and tuple(OFFSETS[0]) == (0, 0) and len(OFFSETS) == len(half) == 41
    assert half | {(-dy, -dx) for dy, dx in half} == disk and len(disk) == 81


@pytest.mark.parametrize("size", [(6, 7), (1, 9), (9, 2), (1, 1)])
def test_affinity_is_the_product_of_exponentials_for_all_pairs_at_most_five_apart(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    features = [rng.uniform(size=(*size, 3)).astype(np.float32) for _ in range(2)]
    forests = []
    for seed in range(2):
        rows, targets = samples(200, width=6, levels=40)
        forests.append(
            fit_forest(
                rows,
                targets / 4 - seed,
                trees=2,
                features=3,
                smallest_leaf=5,
                rng=np.random.default_rng(seed),
            )
        )
    height, width = size
    wanted = np.zeros((41, height, width))
    numbers = {tuple(offset): k for k, offset in enumerate(OFFSETS.tolist())}
    levels = [quantise(maps) for maps in features]
    for y, x in np.ndindex(size):
        for v, u in np.ndindex(size):
            if (v - y, u - x) > (0, 0) and (v - y) ** 2 + (u - x) ** 2 <= 25:
                pmi = sum(
                    walk(forest, order_pairs(np.concatenate([maps[y, x], maps[v, u]])[None])[0])
                    for maps, forest in zip(levels, forests, strict=True)
                )
                wanted[numbers[v - y, u - x], y, x] = np.exp(pmi)
    np.testing.assert_allclose(forest_affinity(features, forests), wanted, rtol=1e-5)
    y, x = np.mgrid[:height, :width]
    for (dy, dx), weights in zip(OFFSETS.tolist(), wanted, strict=True):
        weights[~((y % 2 == 1) & (x % 2 == 1) | ((y + dy) % 2 == 1) & ((x + dx) % 2 == 1))] = 0
    np.testing.assert_allclose(forest_affinity(features, forests, kept_only=True), wanted, rtol=1e-5)


def test_levels_are_rounded_and_span_the_range() -> None:
    found = quantise(np.array([0, 0.0019, 0.002, 0.5, 1], np.float32))
    assert found.tolist() == [0, 0, 1, 128, 255] and found.dtype == np.uint8


@pytest.mark.parametrize("size", [(4, 6), (1, 8), (30, 2)])
def test_local_pairs_are_all_equally_likely(size: tuple[int, int]) -> None:
    height, width = size
    first, second = sample_local_pairs(size, 40_000, np.random.default_rng(0))
    pairs, counts = np.unique(np.stack([first, second]), axis=1, return_counts=True)
    a, b = np.stack(np.divmod(pairs[0], width)), np.stack(np.divmod(pairs[1], width))
    assert ((a - b) ** 2).sum(axis=0).max() <= 25 and (pairs[0] < pairs[1]).all()
    possible = [
        (p, q)
        for p in range(height * width)
        for q in range(p + 1, height * width)
        if (p // width - q // width) ** 2 + (p % width - q % width) ** 2 <= 25
    ]
    assert pairs.T.tolist() == [list(pair) for pair in sorted(possible)]
    expected = 40_000 / len(possible)
    assert np.abs(counts - expected).max() < 6 * np.sqrt(expected)


def test_a_single_pixel_has_no_local_pairs() -> None:
    first, second = sample_local_pairs((1, 1), 100, np.random.default_rng(0))
    assert len(first) == len(second) == 0


def test_a_fitted_forest_predicts_the_pmi_of_the_images_pairs() -> None:
    rng = np.random.default_rng(0)
    features = np.full((40, 50, 3), 0.3, np.float32)
    features[:, 25:] = 0.7
    features += rng.normal(0, 0.02, features.shape).astype(np.float32)
    density = fit_density(features, 5000, 0.05, rng)
    forest = fit_pmi_forest(features, density, samples=5000, trees=4, split_features=3, smallest_leaf=5, rng=rng)
    affinity = forest_affinity([features], [forest])
    right, far = OFFSETS.tolist().index([0, 1]), OFFSETS.tolist().index([0, 5])
    place = np.arange(40 * 50).reshape(40, 50)
    exact = density.pmi(features.reshape(-1, 3), place[:, :-1].ravel(), place[:, 1:].ravel())
    assert np.corrcoef(exact, np.log(affinity[right, :, :-1].ravel()))[0, 1] > 0.9
    assert affinity[far, :, 20:25].max() < 0.1 * np.median(affinity[far, :, :20])
