"""The dense CRF of large images: smoothed at a smaller size, as the whole would be, in a bounded memory."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tagseg.crf import CrfParameters, dense_crf, softmax_unary
from tagseg.crf.downscaling import enlarge_marginals, shrink_image, shrink_regions, shrink_unary, smaller_size
from tagseg.crf.parameters import HigherOrder


def discs(height: int = 120, width: int = 160) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, energies of three labels and regions: two discs on a ground, noise in the colours and in the energies."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    truth = np.zeros((height, width), dtype=np.int32)
    truth[np.hypot(rows - 40, columns - 45) < 28] = 1
    truth[np.hypot(rows - 75, columns - 110) < 35] = 2
    image = np.array([[60, 90, 60], [200, 60, 60], [60, 60, 200]])[truth] + rng.normal(0, 12, (height, width, 3))
    probabilities = rng.dirichlet(np.ones(3), (height, width)).transpose(2, 0, 1)
    for label in range(3):
        probabilities[label] += 0.5 * (truth == label)
    return image.clip(0, 255).astype(np.uint8), softmax_unary(probabilities, 2), truth


@pytest.mark.parametrize("model", [None, "pn_potts", "robust_pn"])
def test_a_smaller_size_gives_nearly_the_same_marginals(model: HigherOrder | None) -> None:
    image, unary, truth = discs()
    p = CrfParameters(bilateral_width=20, gaussian_weight=2)
    whole = dense_crf(image, unary, regions=truth, higher_order=model, parameters=p)
    capped = dense_crf(
        image, unary, regions=truth, higher_order=model, parameters=replace(p, max_pixels=120 * 160 // 4)
    )
    assert capped.shape == whole.shape and capped.dtype == np.float32
    np.testing.assert_allclose(capped.sum(axis=0), 1, atol=1e-6)
    assert np.mean(capped.argmax(axis=0) == truth) > 0.97
    assert np.mean(np.abs(capped - whole)) < 0.03


@pytest.mark.parametrize("model", [None, "pn_potts"])
def test_it_is_the_small_image_with_kernels_half_as_wide(model: HigherOrder | None) -> None:
    image, unary, truth = discs()
    regions, half = truth * 50 + np.arange(160) // 4, (60, 80)
    small = dense_crf(
        shrink_image(image, half),
        shrink_unary(unary, half),
        regions=shrink_regions(regions, half),
        higher_order=model,
        parameters=CrfParameters(gaussian_width=1.5, bilateral_width=10),
    )
    p = CrfParameters(gaussian_width=3, bilateral_width=20, max_pixels=60 * 80)
    capped = dense_crf(image, unary, regions=regions, higher_order=model, parameters=p)
    np.testing.assert_array_equal(capped, enlarge_marginals(small, (120, 160)))


def test_gains_of_robust_pn_keep_their_size_when_the_image_shrinks() -> None:
    """No pairwise terms, doubtful energies that do not vary: the marginals depend on the gain alone."""
    unary = np.zeros((2, 60, 80), dtype=np.float32)
    unary[1] = 1
    image, regions = np.zeros((60, 80, 3), np.uint8), np.zeros((60, 80), np.int32)
    p = CrfParameters(1, 3.0, 0.0, 80.0, 13.0, 0.0, higher_order_weight=0.5, truncation=0.4)
    runs = [
        dense_crf(image, unary, regions=regions, higher_order="robust_pn", parameters=replace(p, max_pixels=size))
        for size in (4800, 1200, 300)
    ]
    assert runs[0][1].max() < 0.2  # softmax of the energies alone: .27
    np.testing.assert_allclose(runs[1], runs[0], atol=1e-5)
    np.testing.assert_allclose(runs[2], runs[0], atol=1e-5)


def test_an_image_at_the_limit_is_left_as_it_is() -> None:
    image, unary, _ = discs()
    limit = CrfParameters(max_pixels=120 * 160)
    np.testing.assert_array_equal(dense_crf(image, unary, parameters=limit), dense_crf(image, unary))


@pytest.mark.parametrize(
    ("size", "max_pixels"), [((3000, 4000), 10**6), ((17, 5), 12), ((1, 1000), 10), ((1000, 1), 3), ((9, 9), 1)]
)
def test_smaller_sizes_hold_what_is_allowed_and_keep_the_shape(size: tuple[int, int], max_pixels: int) -> None:
    height, width = smaller_size(size, max_pixels)
    assert 0.4 * max_pixels < height * width <= max_pixels
    if min(height, width) > 100:
        assert height / width == pytest.approx(size[0] / size[1], rel=0.01)


def test_shrinking_averages_colours_and_energies_and_takes_regions_from_the_middle() -> None:
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    np.testing.assert_allclose(shrink_image(image, (2, 3)), image.reshape(2, 2, 3, 2, 3).mean(axis=(1, 3)), atol=0.5)
    unary = np.random.default_rng(0).uniform(0, 9, (2, 4, 6))
    above = unary - unary.min(axis=0)
    np.testing.assert_allclose(shrink_unary(unary, (2, 3)), above.reshape(2, 2, 2, 3, 2).mean(axis=(2, 4)), rtol=1e-5)
    regions = np.arange(9 * 6).reshape(9, 6)
    np.testing.assert_array_equal(shrink_regions(regions, (3, 2)), regions[1::3, 1::3])


def test_an_infinite_energy_stays_with_its_pixel() -> None:
    unary = np.zeros((2, 4, 4), dtype=np.float32)
    unary[0, 0, 0] = np.inf
    small = shrink_unary(unary, (2, 2))
    np.testing.assert_allclose(small[0], [[25, 0], [0, 0]])
    assert np.isfinite(small).all()


def test_enlarging_interpolates_and_sums_to_one() -> None:
    marginals = np.array([[[1.0, 0.0]], [[0.0, 1.0]]], dtype=np.float32)
    large = enlarge_marginals(marginals, (2, 8))
    np.testing.assert_allclose(large[0, 0], [1, 1, 0.875, 0.625, 0.375, 0.125, 0, 0], atol=1e-6)
    np.testing.assert_allclose(large.sum(axis=0), 1, atol=1e-6)


PEAK = """
import numpy as np
from tagseg.crf import CrfParameters, dense_crf

rng = np.random.default_rng(0)
image = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8).repeat(100, axis=0).repeat(100, axis=1)
regions = np.arange(1200).reshape(30, 40).repeat(100, axis=0).repeat(100, axis=1)
# one map of energies stands for all 21: the caller's own gigabyte is not what is measured
unary = np.broadcast_to(rng.random((3000, 4000), dtype=np.float32), (21, 3000, 4000))
marginals = dense_crf(image, unary, regions=regions, higher_order="robust_pn", parameters=CrfParameters(1))
assert marginals.shape == (21, 3000, 4000)
status = open("/proc/self/status").read()
print(int(status.split("VmHWM:")[1].split()[0]) * 1024 - marginals.nbytes)
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak of a process is read from /proc")
def test_memory_beside_the_result_stays_below_a_gigabyte() -> None:
    """21 labels, 4000 x 3000 pixels: one array of all labels is a gigabyte, and the library has several."""
    run = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 1e9
