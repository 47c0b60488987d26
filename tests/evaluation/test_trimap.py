"""Bands around boundaries against brute force."""

import math

import numpy as np
import pytest

from tagseg.evaluation.trimap import Trimap, boundary_distance


def boundary_pixels(truth: np.ndarray) -> list[tuple[int, int]]:
    height, width = truth.shape
    found = []
    for y in range(height):
        for x in range(width):
            for other in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= other[0] < height and 0 <= other[1] < width and truth[other] != truth[y, x]:
                    found.append((y, x))
                    break
    return found


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth of blocks with a line of 255 in it, and a prediction that is right for half of the pixels."""
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, 3, (3, 4)), np.ones((6, 7), dtype=int))
    truth[8] = 255
    predicted = np.where(rng.random(truth.shape) < 0.5, truth % 255, rng.integers(0, 4, truth.shape))
    return truth.astype(np.uint8), predicted.astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_distance_is_that_to_the_nearest_boundary_pixel(seed: int) -> None:
    truth, _ = scene(seed)
    pixels = boundary_pixels(truth)
    wanted = [
        [min(math.hypot(y - py, x - px) for py, px in pixels) for x in range(truth.shape[1])]
        for y in range(truth.shape[0])
    ]
    np.testing.assert_allclose(boundary_distance(truth), wanted)


@pytest.mark.parametrize("seed", range(3))
def test_bands_equal_a_loop_over_pixels(seed: int) -> None:
    trimap = Trimap(4, widest=5)
    wanted = np.zeros((5, 4, 4), dtype=int)
    for offset in (0, 10):  # two images add up
        truth, predicted = scene(seed + offset)
        trimap.update(truth, boundary_distance(truth), predicted)
        pixels = boundary_pixels(truth)
        for (y, x), label in np.ndenumerate(truth):
            distance = min(math.hypot(y - py, x - px) for py, px in pixels)
            for width in range(1, 6):
                if label != 255 and distance < width:
                    wanted[width - 1, label, predicted[y, x]] += 1
    found = [band.counts for band in trimap.bands()]
    np.testing.assert_array_equal(found, wanted)
    assert found[0].dtype == np.int64 and (np.diff([counts.sum() for counts in found]) > 0).all()


def test_a_band_of_width_one_is_both_sides_of_the_boundary() -> None:
    truth = np.zeros((5, 8), dtype=np.uint8)
    truth[:, 4:] = 1
    trimap = Trimap(2, widest=3)
    trimap.update(truth, boundary_distance(truth), truth)
    assert [int(band.counts.sum()) for band in trimap.bands()] == [10, 20, 30]


def test_ignored_pixels_bound_objects_and_do_not_count() -> None:
    truth = np.zeros((1, 9), dtype=np.uint8)
    truth[0, 4] = 255
    distance = boundary_distance(truth)
    assert distance[0].tolist() == [3, 2, 1, 0, 0, 0, 1, 2, 3]
    trimap = Trimap(2, widest=1)
    trimap.update(truth, distance, np.ones_like(truth))
    assert trimap.counts[0].tolist() == [[0, 2], [0, 0]]


def test_an_image_of_one_label_has_no_boundary() -> None:
    truth = np.zeros((4, 4), dtype=np.uint8)
    assert np.isinf(boundary_distance(truth)).all()
    trimap = Trimap(2)
    trimap.update(truth, boundary_distance(truth), truth)
    assert not trimap.counts.any() and len(trimap.bands()) == 40


def test_faults_are_refused_and_count_nothing() -> None:
    truth = np.array([[0, 1]], dtype=np.uint8)
    trimap = Trimap(2)
    with pytest.raises(ValueError, match=r"prediction \(2, 1\)"):
        trimap.update(truth, boundary_distance(truth), truth.T)
    with pytest.raises(ValueError, match="prediction holds label 2, but there are 2 classes"):
        trimap.update(truth, boundary_distance(truth), truth + 1)
    with pytest.raises(ValueError, match="truth holds label 3"):
        trimap.update(truth * 3, boundary_distance(truth), truth)
    assert not trimap.counts.any()
