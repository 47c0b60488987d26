"""Crisp boundaries: pixel features and the density of their pairs, against the public code and slow obvious sums."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab

from tagseg.regions.density import PairDensity, epanechnikov_density, fit_density, order_pairs, sample_nearby_pairs
from tagseg.regions.features import (
    crisp_features,
    halve,
    lab,
    local_deviation,
    principal_components,
    resize,
    to_unit_range,
)
from tagseg.regions.modes import Feature

FEATURES: list[Feature] = ["color", "var"]


def by_first(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows[np.argsort(rows[:, 0])], dtype=np.float32)


@pytest.mark.parametrize("name", FEATURES)
def test_features_equal_the_public_codes_but_for_signs(crisp_reference: Path, name: Feature) -> None:
    image = np.asarray(Image.open(crisp_reference / "101027.png").convert("RGB"))
    wanted = np.load(crisp_reference / "101027_stages.npz")[f"{name}_feat"].astype(np.float64)
    found = crisp_features(image, name, halvings=1)
    assert found.dtype == np.float32 and (found.min(), found.max()) == (0, 1)
    centred, target = found - found.mean(axis=(0, 1)), wanted - wanted.mean(axis=(0, 1))
    centred *= np.sign((centred * target).sum(axis=(0, 1)))
    error = np.median(np.abs(centred - target), axis=(0, 1)) / target.std(axis=(0, 1))
    assert error.max() < 1e-4  # measured: 5e-7 color, 7e-6 var
    assert np.abs(centred - target).max() < 5e-4


@pytest.mark.parametrize("name", FEATURES)
def test_densities_and_pmi_equal_the_public_codes(crisp_reference: Path, name: Feature) -> None:
    stages = np.load(crisp_reference / "101027_stages.npz")
    pixels = stages[f"{name}_feat"].reshape(-1, 3)
    first, second = stages[f"{name}_pair_ii"], stages[f"{name}_pair_jj"]
    kernels = stages[f"{name}_kernels"]
    density = PairDensity(by_first(kernels), by_first(kernels.reshape(-1, 3)), 0.05)
    pairs = order_pairs(np.hstack([pixels[first], pixels[second]]))
    np.testing.assert_array_equal(pairs, stages[f"{name}_pairF"])
    # what that code keeps are the terms of its quotient: regularised, and the joint one halved
    joint = 100 + epanechnikov_density(pairs, density.joint, 0.05) / 2
    single = epanechnikov_density(pixels, density.single, 0.05)
    np.testing.assert_allclose(joint, stages[f"{name}_pJ"], rtol=2e-3)
    np.testing.assert_allclose(100 + single[first] * single[second], stages[f"{name}_pP"], rtol=2e-3)
    np.testing.assert_allclose(density.pmi(pixels, first, second), stages[f"{name}_pmi"], rtol=0, atol=2e-3)


def test_lab_equals_scikit_images() -> None:
    levels = np.unique(np.append(np.arange(0, 256, 7), range(16)))  # dark ones too, where the curves are straight
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, len(levels), 3).astype(np.uint8)
    found = lab(colours)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rgb2lab(colours), rtol=0, atol=3e-4)


def test_features_of_one_colour_are_zero_and_odd_sides_are_rounded_up() -> None:
    for name in FEATURES:
        assert not crisp_features(np.full((7, 9, 3), 120, np.uint8), name, halvings=1).any()
        noise = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
        for halvings, size in ((0, (7, 9)), (1, (4, 5)), (2, (2, 3))):
            maps = crisp_features(noise, name, halvings=halvings)
            assert maps.shape == (*size, 3) and np.isfinite(maps).all()


def test_principal_components_are_uncorrelated_sorted_and_keep_distances() -> None:
    values = np.random.default_rng(0).normal(size=(6, 8, 3)) @ np.array([[3, 1, 0], [0, 1, 1], [0, 0, 0.2]])
    found = principal_components(values).reshape(-1, 3)
    covariance = found.T @ found
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-9
    assert (np.diff(np.diag(covariance)) < 0).all()
    flat = values.reshape(-1, 3)
    np.testing.assert_allclose(
        np.linalg.norm(found[0] - found, axis=1), np.linalg.norm(flat[0] - flat, axis=1), atol=1e-9
    )


def test_principal_axes_point_along_their_largest_loading() -> None:
    """The free sign: more of the channel that weighs most gives a larger coordinate, and copies agree."""
    values = np.random.default_rng(1).normal(size=(5, 5, 3)) * [5, 2, 1]
    found = principal_components(values)
    for axis in range(3):
        assert np.corrcoef(found[..., axis].ravel(), values[..., axis].ravel())[0, 1] > 0.9
    np.testing.assert_allclose(principal_components(values[::-1]), found[::-1], atol=1e-9)


@pytest.mark.parametrize("radius", [1, 2, 4])
def test_local_deviation_is_that_of_each_mirrored_disk(radius: int) -> None:
    values = np.random.default_rng(0).uniform(size=(6, 7, 2))
    padded = np.pad(values, ((radius, radius), (radius, radius), (0, 0)), mode="symmetric")
    wanted = np.empty_like(values)
    for y in range(6):
        for x in range(7):
            disk = [
                padded[y + radius + dy, x + radius + dx]
                for dy in range(-radius, radius + 1)
                for dx in range(-radius, radius + 1)
                if dy**2 + dx**2 <= radius**2
            ]
            wanted[y, x] = np.std(disk, axis=0, ddof=1)
    np.testing.assert_allclose(local_deviation(values, radius), wanted, atol=1e-9)


def test_halving_keeps_a_constant_and_a_slope_in_place() -> None:
    """The result's pixels are the centres of blocks: a slope's values are the blocks' means."""
    slope = np.repeat(np.arange(40.0)[:, None, None], 6, axis=1)
    for times in (1, 2):
        found = halve(slope, times)[..., 0]
        wanted = slope[..., 0].reshape(-1, 2**times, 6).mean(axis=(1, 2))
        np.testing.assert_allclose(found[3:-3, 0], wanted[3:-3], atol=1e-4)
    np.testing.assert_allclose(halve(np.full((5, 7, 1), 0.3), 1), 0.3, atol=1e-6)
    np.testing.assert_array_equal(halve(slope, 0), slope)


def test_resizing_changes_nothing_at_equal_size_and_takes_every_channel_alone() -> None:
    values = np.random.default_rng(0).uniform(size=(4, 5, 8)).astype(np.float32)
    np.testing.assert_array_equal(resize(values, (4, 5)), values)
    np.testing.assert_array_equal(resize(values, (8, 9))[..., 3:4], resize(values[..., 3:4], (8, 9)))


def test_unit_range_has_one_scale_for_all_channels() -> None:
    values = np.array([[[1.0, 5.0], [2.0, 3.0]]])
    np.testing.assert_allclose(to_unit_range(values), [[[0, 1], [0.25, 0.5]]])
    assert not to_unit_range(np.full((2, 2, 3), 7.0)).any()


@pytest.mark.parametrize("dimensions", [3, 6])
def test_density_is_the_sum_over_all_kernels(dimensions: int) -> None:
    rng = np.random.default_rng(0)
    bandwidth = 0.3
    kernels = by_first(rng.uniform(size=(60, dimensions)))
    points = rng.uniform(-0.4, 1.4, size=(80, dimensions)).astype(np.float32)  # some beyond every kernel's reach
    points[:60:2] = kernels[::2]
    reach = (points[:, None].astype(np.float64) - kernels[None]) / bandwidth
    wanted = (0.75 / bandwidth * np.maximum(1 - reach**2, 0)).prod(axis=2).mean(axis=1)
    assert (wanted == 0).any() and (wanted > 0).sum() > 30
    np.testing.assert_allclose(epanechnikov_density(points, kernels, bandwidth), wanted, rtol=2e-5, atol=1e-5)


def test_density_of_no_kernels_is_zero() -> None:
    assert not epanechnikov_density(np.zeros((3, 6), np.float32), np.zeros((0, 6), np.float32), 0.05).any()


def test_pmi_by_hand() -> None:
    """Kernels and pixels in one place: every factor is (3 / 4h), so p(A, B) = (3/4h)^6 and p(A) = (3/4h)^3."""
    density = PairDensity(np.zeros((4, 6), np.float32), np.zeros((8, 3), np.float32), 0.25)
    pixels = np.array([[0, 0, 0], [0.5, 0, 0]], np.float32)
    found = density.pmi(pixels, np.array([0, 0]), np.array([0, 1]))
    together = 1.25 * np.log(100 + 3**6 / 2) - np.log(100 + 3**6)
    apart = 1.25 * np.log(100) - np.log(100)
    np.testing.assert_allclose(found, [together, apart], rtol=1e-6)


def test_pairs_are_ordered_by_swapping_first_channels_only() -> None:
    pairs = np.array([[1, 2, 3, 4, 5, 6], [4, 5, 6, 1, 2, 3]])
    np.testing.assert_array_equal(order_pairs(pairs), [[4, 2, 3, 1, 5, 6], [4, 5, 6, 1, 2, 3]])
    np.testing.assert_array_equal(pairs[0], [1, 2, 3, 4, 5, 6])


def test_nearby_pairs_lie_opposite_each_other_and_inside() -> None:
    height, width = 30, 41
    first, second = sample_nearby_pairs((height, width), 20_000, np.random.default_rng(0))
    a, b = np.stack(np.divmod(first, width)), np.stack(np.divmod(second, width))
    assert 1000 < len(first) <= height * width  # nearly every pixel is a centre once
    assert first.min() >= 0 and second.min() >= 0 and max(first.max(), second.max()) < height * width
    apart = np.abs(a - b)
    assert apart.max() == 4  # two pixels a component, each way
    # r has length 1 + |normal|, deviation .5: mean 1 + .5 √(π/2), the pair twice that apart
    assert np.hypot(*apart).mean() == pytest.approx(2 * (1 + 0.5 * np.sqrt(np.pi / 2)), abs=0.15)
    assert abs((a - b).mean()) < 0.2  # no direction is preferred
    middle = (a + b) / 2
    assert np.abs(middle - np.rint(middle)).max() <= 0.5 and len(np.unique(first)) > 0.5 * len(first)


def test_nearby_pairs_of_a_single_pixel_are_none() -> None:
    rng = np.random.default_rng(0)
    assert len(sample_nearby_pairs((1, 1), 100, rng)[0]) == 0
    assert len(fit_density(np.zeros((1, 1, 3), np.float32), 100, 0.05, rng).joint) == 0


def test_fitted_density_holds_ordered_pairs_of_the_image() -> None:
    rng = np.random.default_rng(0)
    features = rng.permutation(20 * 30 * 3).reshape(20, 30, 3).astype(np.float32)  # every value occurs once
    density = fit_density(features, 300, 0.05, rng)
    count = len(density.joint)
    assert 100 < count <= 300 and density.single.shape == (2 * count, 3)
    assert (density.joint[:, 0] > density.joint[:, 3]).all() and (np.diff(density.joint[:, 0]) >= 0).all()
    assert np.isin(density.joint[:, 1:3], features[..., 1:]).all()
    halves = np.concatenate([density.joint[:, :3], density.joint[:, 3:]])
    assert {tuple(row) for row in halves} == {tuple(row) for row in density.single}
