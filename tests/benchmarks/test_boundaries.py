"""Boundaries and regions in the BSDS500 protocol: matching against brute force, scores by hand."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack, identity
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from boundaries import (
    average_precision,
    best_point,
    boundary_counts,
    boundary_scores,
    thin,
    thresholds,
)
from covering import components, rand_index, region_counts, region_scores, variation_of_information
from dataset import read_annotations
from matching import match, near_pairs

Map = NDArray[np.bool_]
HALF = np.array([0.5])


def lines(*columns: int, size: tuple[int, int] = (40, 60)) -> Map:
    """A map with upright lines."""
    found = np.zeros(size, dtype=bool)
    found[:, list(columns)] = True
    return found


def largest_matching(predicted: Map, truth: Map, distance: float) -> int:
    """Augmenting paths, the slow and plain way."""
    goals = np.argwhere(truth)
    near = [np.flatnonzero(((goals - pixel) ** 2).sum(axis=1) <= distance**2) for pixel in np.argwhere(predicted)]
    owner: dict[int, int] = {}

    def place(pixel: int, seen: set[int]) -> bool:
        for goal in near[pixel]:
            if goal not in seen:
                seen.add(goal)
                if goal not in owner or place(owner[goal], seen):
                    owner[goal] = pixel
                    return True
        return False

    return sum(place(pixel, set()) for pixel in range(len(near)))


# matching


@pytest.mark.parametrize("distance", [0.0, 1.0, 1.5, 2.3, 4.0])
@pytest.mark.parametrize("seed", range(6))
def test_as_many_pixels_match_as_can(seed: int, distance: float) -> None:
    rng = np.random.default_rng(seed)
    predicted, truth = (rng.random((9, 13)) < density for density in rng.uniform(0.05, 0.5, 2))
    found, matches = match(predicted, int(truth.sum()), near_pairs(truth, distance))
    assert matches == largest_matching(predicted, truth, distance) == found.sum()
    assert not (found & ~predicted).any()


def test_pairs_are_all_those_within_the_distance_nearest_first() -> None:
    truth = np.random.default_rng(0).random((8, 11)) < 0.2
    pixels, numbers = near_pairs(truth, 2.5)
    apart = np.hypot(*(np.argwhere(np.ones_like(truth))[pixels] - np.argwhere(truth)[numbers]).T)
    assert (np.diff(apart) >= 0).all() and apart.max() <= 2.5
    grid, goals = np.argwhere(np.ones_like(truth)), np.argwhere(truth)
    every = np.hypot(*(grid[:, None] - goals[None]).transpose(2, 0, 1))
    assert len(pixels) == len(set(zip(pixels.tolist(), numbers.tolist(), strict=True))) == (every <= 2.5).sum()


def test_a_match_at_the_same_place_is_preferred() -> None:
    predicted, truth = lines(10, 11, 12), lines(11)
    found, _ = match(predicted, int(truth.sum()), near_pairs(truth, 3))
    np.testing.assert_array_equal(found, truth)


def test_thin_leaves_lines_of_one_pixel() -> None:
    band = np.zeros((30, 30), dtype=bool)
    band[5:25, 12:17] = True
    thinned = thin(band)
    assert thinned.any() and not (thinned & ~band).any() and thinned.sum(axis=1).max() == 1
    np.testing.assert_array_equal(thin(thinned), thinned)
    np.testing.assert_array_equal(thin(lines(7)), lines(7))


# counts


def test_a_perfect_map_scores_one() -> None:
    truth = lines(10, 40)
    counts = boundary_counts(truth.astype(np.float32), [truth], thresholds(9))
    assert counts.tolist() == [[80, 80, 80, 80]] * 9
    scores = boundary_scores(thresholds(9), counts[None])
    assert scores.ods.f == scores.ois.f == 1
    assert scores.ap == 0  # by the benchmark's rule: with one recall there is no curve


@pytest.mark.parametrize(("shift", "matched"), [(2, 40), (3, 0)])
def test_matched_pixels_lie_within_the_distance(shift: int, matched: int) -> None:
    truth, found = lines(20), lines(20 + shift).astype(float)
    assert boundary_counts(found, [truth], HALF, 2.5 / np.hypot(40, 60)).tolist() == [[matched, 40, matched, 40]]


def test_each_annotation_counts_for_recall_and_any_for_precision() -> None:
    found = lines(10, 30, 50).astype(float)
    annotations = [lines(10), lines(10, 30, 33)]
    assert boundary_counts(found, annotations, HALF, 0.01).tolist() == [[120, 160, 80, 120]]


def test_no_prediction_and_no_truth_are_counted_as_such() -> None:
    nothing = np.zeros((40, 60))
    assert boundary_counts(nothing, [lines(10)], HALF).tolist() == [[0, 40, 0, 0]]
    assert boundary_counts(lines(10).astype(float), [nothing > 0], HALF).tolist() == [[0, 0, 0, 40]]
    counts = boundary_counts(nothing, [nothing > 0], thresholds(5))
    assert not counts.any() and boundary_scores(thresholds(5), counts[None]).ods.f == 0


def test_equal_maps_of_several_thresholds_are_each_counted_alike() -> None:
    rng = np.random.default_rng(3)
    contours = rng.choice([0, 0.2, 0.45, 0.9], (30, 40), p=[0.7, 0.1, 0.1, 0.1])
    annotations = [rng.random((30, 40)) < 0.1 for _ in range(3)]
    levels = thresholds(19)
    together = boundary_counts(contours, annotations, levels, 0.03)
    alone = np.concatenate([boundary_counts(contours, annotations, levels[i : i + 1], 0.03) for i in range(19)])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(boundary_counts(contours, annotations, levels[::-1], 0.03), together[::-1])


def test_unfit_input_is_refused() -> None:
    with pytest.raises(ValueError, match="no annotation"):
        boundary_counts(np.zeros((4, 4)), [], HALF)
    with pytest.raises(ValueError, match=r"annotation is \(40, 60\), the contour map \(4, 4\)"):
        boundary_counts(np.zeros((4, 4)), [lines(1)], HALF)
    for value in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="outside"):
            boundary_counts(np.full((40, 60), value), [lines(1)], HALF)
    with pytest.raises(ValueError, match="no annotation"):
        region_counts([np.zeros((4, 4), dtype=int)], [])
    with pytest.raises(ValueError, match=r"annotation is \(4, 4\), the label map \(4, 5\)"):
        region_counts([np.zeros((4, 5), dtype=int)], [np.zeros((4, 4), dtype=int)])


def test_real_annotations_match_as_in_an_assignment_of_least_cost(bsds_mini: Path) -> None:
    """correspondPixels' own problem, solved exactly: as many matches, and nearly the same predicted pixels."""
    path = bsds_mini / "groundTruth" / "100075.mat"
    predicted, *others = read_annotations(path, (321, 481)).boundaries[:4]
    distance = 0.0075 * float(np.hypot(*predicted.shape))
    ours, exact = np.zeros_like(predicted), np.zeros_like(predicted)
    for truth in others:
        pixels, numbers = near_pairs(truth, distance)
        found, matches = match(predicted, int(truth.sum()), (pixels, numbers))
        kept = predicted.ravel()[pixels]
        row, column = (np.cumsum(predicted) - 1)[pixels[kept]], numbers[kept]
        apart = np.hypot(*(np.argwhere(predicted)[row] - np.argwhere(truth)[column]).T)
        size = int(predicted.sum()), int(truth.sum())
        outliers = identity(size[0]) * (100 * distance)
        costs = hstack([csr_matrix((apart + 1e-6, (row, column)), shape=size), outliers]).tocsr()
        partner = min_weight_full_bipartite_matching(costs)[1]
        assert matches == np.count_nonzero(partner < size[1])
        ours |= found
        exact[predicted] |= partner < size[1]
    assert abs(int(ours.sum()) - int(exact.sum())) <= 0.005 * exact.sum()


# scores


def test_thresholds_are_even_and_inside() -> None:
    np.testing.assert_allclose(thresholds(), np.arange(1, 100) / 100)
    np.testing.assert_allclose(thresholds(3), [0.25, 0.5, 0.75])


def test_ods_lies_between_thresholds_and_ois_takes_each_image_s_own() -> None:
    levels = np.array([0.2, 0.6])
    counts = np.array(
        [
            [[90, 100, 30, 100], [30, 100, 90, 100]],  # recall .9, .3, precision .3, .9
            [[80, 100, 80, 100], [10, 100, 10, 10]],  # the first is best
        ]
    )
    scores = boundary_scores(levels, counts)
    # all together: recall 170/200 to 40/200, precision 110/200 to 100/110
    part = np.linspace(0, 1, 100)
    recall, precision = 0.85 + (0.2 - 0.85) * part, 0.55 + (100 / 110 - 0.55) * part
    f = 2 * recall * precision / (recall + precision)
    best = f.argmax()
    assert 0 < best < 99
    assert scores.ods.f == pytest.approx(f[best]) and scores.ods.threshold == pytest.approx(0.2 + 0.4 * part[best])
    # the first image's F is .45 at both, so the first of them counts: 90 + 80 of 200, and 30 + 80 of 200
    assert (scores.ois.recall, scores.ois.precision) == pytest.approx((170 / 200, 110 / 200))
    assert best_point(levels[1:], counts[1, 1:]).f == pytest.approx(2 * 0.1 / 1.1)


def test_average_precision_is_the_area_under_the_interpolated_curve() -> None:
    counts = np.array([[80, 100, 50, 100], [80, 100, 10, 100], [40, 100, 90, 100], [20, 100, 10, 10]])
    at = np.arange(101) / 100
    wanted = sum(
        1 - (r - 0.2) / 0.2 * 0.1 if r <= 0.4 else 0.9 - (r - 0.4) / 0.4 * 0.4 for r in at if 0.2 <= r <= 0.8
    )  # of the two thresholds with recall .8, the lowest
    assert average_precision(counts) == pytest.approx(wanted / 100)
    assert average_precision(counts[:1]) == 0


# regions


def test_covering_by_hand() -> None:
    truth = np.repeat([[1, 1, 1, 1, 2, 2, 2, 2]], 5, axis=0)
    found = np.repeat([[7, 7, 7, 7, 7, 7, 3, 3]], 5, axis=0)
    counts = region_counts([found, found.copy(), truth, np.zeros_like(truth)], [truth, np.zeros_like(truth)])
    # against halves: 20 of 30, then 10 of 20; against the whole: 30 of 40
    halves, whole = 20 * 20 / 30 + 20 * 10 / 20, 40 * 30 / 40
    np.testing.assert_allclose(counts.covered, [halves + whole] * 2 + [40 + 20, 20 + 40])
    assert counts.area == 80 and counts.best == pytest.approx(80)
    np.testing.assert_allclose(counts.covering, counts.covered / 80)
    other = region_counts([truth] * 4, [truth])
    scores = region_scores(thresholds(4), [counts, other])
    assert (scores.covering_threshold, scores.covering_ods) == (pytest.approx(0.6), pytest.approx(100 / 120))
    assert scores.covering_ois == pytest.approx(100 / 120) and scores.covering_best == pytest.approx(1)


def test_rand_index_and_variation_of_information_by_hand() -> None:
    joint = np.array([[2, 1], [0, 1]])
    assert rand_index(joint) == pytest.approx(3 / 6)  # pixels a a | a b: pairs 12 alike, 13 14 23 24 34 as they are
    entropies = 2 * 1.5 - 1 - (-0.75 * np.log2(0.75) + 0.5)
    assert variation_of_information(joint) == pytest.approx(entropies)
    same = np.diag([3, 4])
    assert rand_index(same) == 1 and variation_of_information(same) == pytest.approx(0)


def test_components_are_parted_by_a_diagonal_and_leave_no_pixel() -> None:
    contours = np.eye(12) * 0.5
    labels = components(contours, 0.4)
    assert labels.min() == 1 and labels.max() == 2 and labels[0, 11] != labels[11, 0]
    assert (components(contours, 0.5) == 1).all() and (components(np.ones((3, 4)), 0.5) == 1).all()
