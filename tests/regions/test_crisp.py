"""Crisp boundaries, the public call: what it takes, what it returns, and what it finds."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tagseg.regions import MODES, CrispBoundaries, CrispParameters, Hierarchy, Mode, crisp_boundaries

QUICK = CrispParameters(kernels=500, samples=1000, eigenvectors=20)


def two_textures(height: int = 60, width: int = 80, seed: int = 0) -> np.ndarray:
    """Reddish noise left of the middle, bluish stripes right of it."""
    rng = np.random.default_rng(seed)
    image = rng.normal(0, 12, (height, width, 3))
    image[:, : width // 2] += [170, 80, 60]
    image[:, width // 2 :] += [50, 90, 180]
    image[::2, width // 2 :] += 40
    return np.clip(image, 0, 255).astype(np.uint8)


def check(found: CrispBoundaries, size: tuple[int, int]) -> None:
    assert found.boundaries.shape == found.ucm.shape == size
    assert found.boundaries.dtype == found.ucm.dtype == np.float32
    assert np.isfinite(found.boundaries).all() and found.boundaries.min() >= 0
    assert found.ucm.min() >= 0 and found.ucm.max() <= 1
    for threshold in (0.0, 0.2):
        regions = found.regions(threshold)
        assert regions.shape == size and regions.dtype == np.int32
        assert np.unique(regions).tolist() == list(range(int(regions.max()) + 1))
        assert all(
            ndimage.label(regions[where] == label)[1] == 1
            for label, where in enumerate(ndimage.find_objects(regions + 1))
        )
    assert not found.regions(1).any()


@pytest.mark.parametrize("mode", get_args(Mode))
def test_the_border_of_two_textures_is_the_strongest_line(mode: Mode) -> None:
    found = crisp_boundaries(two_textures(), mode=mode)
    check(found, (60, 80))
    strongest = found.boundaries.argmax(axis=1)[5:-5]
    assert (np.abs(strongest - 39.5) < 3).all()
    regions = found.regions(float(found.tree.altitudes[-2]))  # the last line but one has gone
    assert regions.max() == 1
    assert (regions[:, :37] == 0).all() and (regions[:, 43:] == 1).all()


@pytest.mark.parametrize("hierarchy", get_args(Hierarchy))
def test_every_hierarchy_gives_nested_regions_of_the_image(hierarchy: Hierarchy) -> None:
    check(crisp_boundaries(two_textures(), parameters=replace(QUICK, hierarchy=hierarchy)), (60, 80))


def test_grey_one_channel_and_alpha_are_taken() -> None:
    image = two_textures()
    opaque = np.concatenate([image, np.full((60, 80, 1), 7, np.uint8)], axis=2)
    same(crisp_boundaries(opaque, parameters=QUICK), crisp_boundaries(image, parameters=QUICK))
    grey = image[..., 0]
    wanted = crisp_boundaries(np.repeat(grey[..., None], 3, axis=2), parameters=QUICK)
    check(wanted, (60, 80))
    same(crisp_boundaries(grey, parameters=QUICK), wanted)
    same(crisp_boundaries(grey[..., None], parameters=QUICK), wanted)


def same(a: CrispBoundaries, b: CrispBoundaries) -> None:
    for first, second in (
        (a.boundaries, b.boundaries),
        (a.tree.leaves, b.tree.leaves),
        (a.tree.parents, b.tree.parents),
        (a.tree.altitudes, b.tree.altitudes),
        (a.ucm, b.ucm),
    ):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("mode", get_args(Mode))
def test_equal_input_gives_equal_output_and_another_seed_another(mode: Mode) -> None:
    image = two_textures(81, 90)
    before = image.copy()
    found = crisp_boundaries(image, mode=mode, seed=3)
    same(found, crisp_boundaries(np.asfortranarray(image), mode=mode, seed=3))
    assert not np.array_equal(found.boundaries, crisp_boundaries(image, mode=mode, seed=4).boundaries)
    np.testing.assert_array_equal(image, before)


def test_an_image_that_may_not_be_written_to_is_taken() -> None:
    image = two_textures()
    image.setflags(write=False)
    check(crisp_boundaries(image[:, ::-1], parameters=QUICK), (60, 80))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4, 3), np.float32), "uint8, got float32"),
        (np.zeros((4, 4, 3), bool), "uint8, got bool"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\) has no pixels"),
        (np.zeros((4, 0), np.uint8), "has no pixels"),
        (np.zeros((4, 4, 2), np.uint8), r"\(H, W, 3\), got \(4, 4, 2\)"),
        (np.zeros(4, np.uint8), r"expected an image \(H, W, 3\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"expected an image \(H, W, 3\)"),
    ],
)
def test_what_is_no_image_is_refused(image: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        crisp_boundaries(image)


def test_an_unknown_mode_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'fast' is not one of speedy, .*accurate_high_res"):
        crisp_boundaries(two_textures(), mode="fast")  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 2), (3, 3), (2, 31)])
def test_tiny_images_of_noise_have_their_size(mode: Mode, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    check(crisp_boundaries(image, mode=mode), size)


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("level", [0, 97, 255])
def test_one_colour_is_one_region(mode: Mode, level: int) -> None:
    found = crisp_boundaries(np.full((33, 45, 3), level, np.uint8), mode=mode)
    check(found, (33, 45))
    assert not found.regions(0).any() and not found.ucm.any() and not found.boundaries.any()


def test_one_odd_pixel_and_a_sharp_step_are_taken() -> None:
    image = np.full((33, 45, 3), 97, np.uint8)
    image[16, 20] = 98
    check(crisp_boundaries(image), (33, 45))
    image[:, 30:] = 200
    found = crisp_boundaries(image)
    check(found, (33, 45))
    regions = found.regions(float(found.tree.altitudes[-2]))
    assert regions.max() == 1 and (regions[:, :28] == 0).all() and (regions[:, 32:] == 1).all()


@pytest.mark.parametrize("size", [(30, 3000), (1100, 10), (140, 190)])
def test_larger_images_are_worked_on_small_and_get_their_size_back(size: tuple[int, int]) -> None:
    """Labels become blocks: every region stays connected."""
    found = crisp_boundaries(two_textures(*size), parameters=replace(QUICK, longest_side=101))
    check(found, size)
    if size[1] > 10:  # else its border is less than a pixel away from the middle
        assert found.boundaries.argmax(axis=1)[size[0] // 2] == pytest.approx(size[1] / 2, abs=size[1] / 20)
    small = Image.fromarray(two_textures(*size))
    scale = 101 / max(size)
    small = small.resize((max(1, round(size[1] * scale)), max(1, round(size[0] * scale))), Image.Resampling.BICUBIC)
    alone = crisp_boundaries(np.asarray(small), parameters=QUICK)
    assert alone.regions(0.1).max() == found.regions(0.1).max()
    assert found.boundaries.max() == pytest.approx(alone.boundaries.max(), rel=0.3)


def test_an_image_at_the_limit_is_not_changed() -> None:
    same(
        crisp_boundaries(two_textures(), parameters=replace(QUICK, longest_side=80)),
        crisp_boundaries(two_textures(), parameters=QUICK),
    )


def test_modes_are_parameters_of_their_own() -> None:
    image = two_textures()
    for mode, parameters in MODES.items():
        same(crisp_boundaries(image, mode=mode), crisp_boundaries(image, parameters=parameters))


def test_altitudes_are_the_logistic_of_energy_in_units() -> None:
    """Another unit rescales boundaries, and moves no line and changes no order."""
    image = two_textures()
    found, weaker = (crisp_boundaries(image, parameters=replace(QUICK, unit=unit)) for unit in (20.0, 40.0))
    np.testing.assert_allclose(found.boundaries, 2 * weaker.boundaries, rtol=1e-5)
    np.testing.assert_array_equal(found.tree.leaves, weaker.tree.leaves)
    np.testing.assert_array_equal(found.tree.parents, weaker.tree.parents)
    top = found.tree.altitudes[-1], weaker.tree.altitudes[-1]
    mean = [(2.7487 - np.log(1 / (0.9398 * value + 0.0602) - 1)) / 11.1189 for value in top]
    assert 1 > top[0] > top[1] > 0 and mean[0] == pytest.approx(2 * mean[1], rel=1e-3)


def test_a_photograph_falls_into_a_few_dozen_regions_at_the_threshold_of_the_paper(crisp_reference: Path) -> None:
    image = np.asarray(Image.open(crisp_reference / "101027.png").convert("RGB"))
    found = crisp_boundaries(image)
    check(found, (321, 481))
    assert 15 < found.regions(0.1).max() < 200 < found.regions(0.0).max() + 1


PEAK = """
import resource
import numpy as np
from tagseg.regions import crisp_boundaries
image = np.kron(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8), np.ones((100, 100, 1), np.uint8))
found = crisp_boundaries(image)
assert found.regions(0.1).shape == found.ucm.shape == (4000, 6000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_twenty_four_megapixels_stay_below_two_gigabytes() -> None:
    """Measured: 1.1. (Kibibytes, as on Linux.)"""
    if sys.platform != "linux":
        pytest.skip("peak memory is read as Linux counts it")
    result = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert int(result.stdout) * 1024 < 2e9
