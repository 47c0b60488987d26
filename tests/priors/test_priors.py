"""Foreground prior, CAMs and their fusion: each equation against loops over pixels."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tagseg.images.resize import resize_map
from tagseg.priors.cam import binary_cam, class_activation_maps, scale_cam
from tagseg.priors.foreground import (
    centre_gaussian,
    foreground_prior,
    mean_activation,
    scale_min_max,
    scale_otsu,
    scale_quantile,
)
from tagseg.priors.fusion import background_map, fgbg_maps, localization_maps, multiclass_maps, sum_to_one

SCALINGS = {"min_max": scale_min_max, "quantile": scale_quantile, "otsu": scale_otsu}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def two_modes(rng: np.random.Generator) -> np.ndarray:
    """A dim background (70 %) and a foreground that begins below the middle of the range."""
    values = np.concatenate([rng.uniform(0, 0.1, 140), rng.uniform(0.4, 1, 60)])
    return rng.permutation(values).reshape(10, 20).astype(np.float32)


def otsu_loop(values: np.ndarray) -> float:
    """The threshold of the largest variance between the two sides, tried midway between all neighbours."""
    ordered = sorted(values.ravel().tolist())
    best, where = -1.0, 0.0
    for i in range(1, len(ordered)):
        low, high = ordered[:i], ordered[i:]
        between = len(low) * len(high) * (sum(low) / len(low) - sum(high) / len(high)) ** 2
        if between > best:
            best, where = between, (ordered[i - 1] + ordered[i]) / 2
    return where


# mean activations


def test_mean_activation_is_the_mean_over_channels(rng: np.random.Generator) -> None:
    features = rng.uniform(0, 3, (2, 5, 3, 4))
    mean = mean_activation(torch.from_numpy(features))
    assert mean.shape == (2, 3, 4) and mean.dtype == torch.float32
    for i, y, x in np.ndindex(2, 3, 4):
        assert float(mean[i, y, x]) == pytest.approx(sum(features[i, k, y, x] for k in range(5)) / 5, rel=1e-6)


def test_mean_activation_does_not_let_signs_cancel() -> None:
    features = torch.tensor([3.0, -3.0]).reshape(1, 2, 1, 1)
    assert float(mean_activation(features)) == pytest.approx(3)


# resizing


@pytest.mark.parametrize("size", [(12, 15), (7, 5), (31, 8)])
def test_enlarging_equals_bilinear_interpolation(rng: np.random.Generator, size: tuple[int, int]) -> None:
    values = rng.normal(size=(6, 5)).astype(np.float32)
    wanted = F.interpolate(torch.from_numpy(values)[None, None], size=size, mode="bilinear", align_corners=False)
    resized = resize_map(values, size)
    assert resized.shape == size and resized.dtype == np.float32
    np.testing.assert_allclose(resized, wanted[0, 0].numpy(), atol=1e-5)


def test_resizing_to_its_own_size_changes_nothing(rng: np.random.Generator) -> None:
    values = rng.normal(size=(6, 5)).astype(np.float32)
    np.testing.assert_array_equal(resize_map(values, (6, 5)), values)


def test_shrinking_lets_every_pixel_count() -> None:
    values = np.zeros((8, 8), dtype=np.float32)
    values[1, 2] = 64
    assert resize_map(values, (1, 1))[0, 0] > 0


def test_half_precision_and_views_can_be_resized() -> None:
    values = np.arange(12, dtype=np.float16).reshape(3, 4).T
    np.testing.assert_array_equal(resize_map(values, (4, 3)), values.astype(np.float32))


# scalings


@pytest.mark.parametrize("name", SCALINGS)
@pytest.mark.parametrize("level", [0.0, 7.5])
def test_a_constant_map_becomes_0(name: str, level: float) -> None:
    scaled = SCALINGS[name](np.full((4, 5), level, dtype=np.float32))
    assert scaled.shape == (4, 5) and scaled.dtype == np.float32
    assert not scaled.any()


@pytest.mark.parametrize("name", SCALINGS)
def test_scaling_keeps_order_and_spans_0_to_1(rng: np.random.Generator, name: str) -> None:
    values = two_modes(rng) * 40 - 3
    scaled = SCALINGS[name](values)
    assert scaled.min() == 0 and scaled.max() == 1
    assert (np.diff(scaled.ravel()[values.ravel().argsort()]) >= 0).all()


def test_min_max_is_the_straight_line() -> None:
    np.testing.assert_allclose(scale_min_max(np.array([[2.0, 4.0, 3.0]])), [[0, 1, 0.5]])


def test_an_outlier_sets_the_scale_of_min_max_alone(rng: np.random.Generator) -> None:
    values = rng.uniform(0, 1, (20, 20)).astype(np.float32)
    values[0, 0] = 1000
    assert np.median(scale_min_max(values)) < 0.01
    assert 0.4 < np.median(scale_quantile(values)) < 0.6


def test_quantile_scaling_equals_its_formula() -> None:
    values = np.arange(101, dtype=np.float32).reshape(1, 101)
    wanted = [min(max((v - 10) / 85, 0), 1) for v in range(101)]
    np.testing.assert_allclose(scale_quantile(values)[0], wanted, atol=1e-6)


def test_otsu_puts_its_split_at_one_half(rng: np.random.Generator) -> None:
    values = two_modes(rng)
    foreground = values > otsu_loop(values)
    assert ((scale_quantile(values) > 0.5) != foreground).any()
    scaled = scale_otsu(values)
    assert scaled[foreground].min() > 0.5
    # the threshold comes from a histogram, so the last bin of the background may lie on either side
    assert scaled[~foreground].max() < 0.5 + 1 / 256
    assert (scaled[~foreground] > 0.5).sum() <= 3


def test_otsu_on_two_values() -> None:
    values = np.zeros((5, 10), dtype=np.float32)
    values[:, 6:] = 3
    np.testing.assert_array_equal(scale_otsu(values) > 0.5, values > 0)


# foreground prior


@pytest.mark.parametrize("scaling", SCALINGS)
def test_foreground_prior_of_each_way_to_add_layers(rng: np.random.Generator, scaling: str) -> None:
    conv4, conv5 = rng.uniform(0, 1, (6, 7)), rng.uniform(0, 100, (3, 4))
    large4, large5 = resize_map(conv4, (24, 28)), resize_map(conv5, (24, 28))
    each = foreground_prior([conv4, conv5], (24, 28), layers="scale_each", scaling=scaling)
    raw = foreground_prior([conv4, conv5], (24, 28), layers="raw_sum", scaling=scaling)
    straight = [(m - m.min()) / (m.max() - m.min()) for m in (large4, large5)]
    np.testing.assert_allclose(each, SCALINGS[scaling](straight[0] + straight[1]), atol=1e-5)
    np.testing.assert_allclose(raw, SCALINGS[scaling](large4 + large5), atol=1e-5)
    assert np.abs(each - raw).max() > 0.1


def test_scaled_layers_count_alike_whatever_their_magnitude(rng: np.random.Generator) -> None:
    conv4, conv5 = rng.uniform(0, 1, (6, 7)), rng.uniform(0, 1, (6, 7))
    prior = foreground_prior([conv4, conv5], (6, 7), layers="scale_each", scaling="min_max")
    louder = foreground_prior([conv4, 50 * conv5 + 9], (6, 7), layers="scale_each", scaling="min_max")
    np.testing.assert_allclose(prior, louder, atol=1e-5)


def test_more_scales_are_more_maps_to_add(rng: np.random.Generator) -> None:
    maps = [rng.uniform(0, 1, (6, 7)) for _ in range(4)]
    prior = foreground_prior(maps, (6, 7), layers="raw_sum", scaling="min_max")
    np.testing.assert_allclose(prior, scale_min_max(sum(maps)), atol=1e-6)


def test_the_middle_is_a_gaussian_of_half_sides() -> None:
    weights = centre_gaussian((4, 8), 0.7)
    assert weights.shape == (4, 8) and weights.dtype == np.float32
    np.testing.assert_allclose(weights, weights[::-1, ::-1])
    y, x = (1 + 0.5) / 4 * 2 - 1, (6 + 0.5) / 8 * 2 - 1
    assert weights[1, 6] == pytest.approx(math.exp(-(x * x + y * y) / (2 * 0.7**2)), rel=1e-6)


def test_the_centre_weakens_the_prior_at_the_border(rng: np.random.Generator) -> None:
    maps = [rng.uniform(0, 1, (8, 8)), rng.uniform(0, 1, (8, 8))]
    plain = foreground_prior(maps, (8, 8), layers="scale_each", scaling="min_max")
    centred = foreground_prior(maps, (8, 8), layers="scale_each", scaling="min_max", centre=0.7)
    np.testing.assert_allclose(centred, scale_min_max(plain * centre_gaussian((8, 8), 0.7)), atol=1e-5)


# Eq. 1


def test_cams_equal_loops(rng: np.random.Generator) -> None:
    features, weights = rng.normal(size=(4, 3, 5)), rng.normal(size=(2, 4))
    cams = class_activation_maps(torch.from_numpy(features), torch.from_numpy(weights))
    assert cams.shape == (2, 3, 5) and cams.dtype == torch.float32
    for c in range(2):
        for y in range(3):
            for x in range(5):
                wanted = sum(weights[c, k] * features[k, y, x] for k in range(4))
                assert float(cams[c, y, x]) == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_no_class_gives_no_map(rng: np.random.Generator) -> None:
    features = torch.from_numpy(rng.normal(size=(4, 3, 5)))
    assert class_activation_maps(features, features.new_zeros(0, 4)).shape == (0, 3, 5)


def test_scale_cam_clips_below_0_and_brings_the_maximum_to_1() -> None:
    np.testing.assert_allclose(scale_cam(np.array([[-2.0, 0.0], [1.0, 4.0]])), [[0, 0], [0.25, 1]])


def test_a_cam_without_a_positive_value_becomes_0() -> None:
    scaled = scale_cam(np.array([[-2.0, -1.0]]))
    assert scaled.tolist() == [[0, 0]] and scaled.dtype == np.float32


def test_binary_cam_is_1_above_a_part_of_the_maximum() -> None:
    cam = np.array([[0.0, 0.5, 0.51], [1.0, 2.0, 2.5]])
    assert binary_cam(cam, 0.2).tolist() == [[0, 0, 1], [1, 1, 1]]
    assert binary_cam(np.zeros((1, 2)), 0.2).tolist() == [[0, 0]]


# Eqs. 2-5


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.uniform(0, 1, shape).astype(np.float32)


def rest_loop(cams: np.ndarray, y: int, x: int, background: str, classes: int, power: float) -> float:
    column = [float(cam[y, x]) for cam in cams]
    return (1 - max(column) if background == "max" else 1 - sum(column) / classes) ** power


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("classes", [3, 20])
@pytest.mark.parametrize(("background", "power"), [("mean", 1), ("max", 1), ("max", 2)])
@pytest.mark.parametrize("alpha", [0.5, 0.3])
def test_multiclass_maps_equal_loops(
    rng: np.random.Generator, background: str, power: float, classes: int, normalise: bool, alpha: float
) -> None:
    cams, foreground = unit(rng, 3, 4, 5), unit(rng, 4, 5)
    maps = multiclass_maps(
        cams,
        foreground,
        threshold=0.4,
        alpha=alpha,
        background=background,
        power=power,
        classes=classes,
        normalise=normalise,
    )
    assert maps.shape == (4, 4, 5) and maps.dtype == np.float32
    for y in range(4):
        for x in range(5):
            pf = float(foreground[y, x])
            wanted = [alpha * (1 - pf) + (1 - alpha) * rest_loop(cams, y, x, background, classes, power)]
            for cam in cams:
                b = 1 if cam[y, x] > 0.4 * max(cam.ravel()) else 0
                wanted.append(alpha * pf * b + (1 - alpha) * float(cam[y, x]))
            if normalise:
                wanted = [value / sum(wanted) for value in wanted]
            np.testing.assert_allclose(maps[:, y, x], wanted, atol=1e-6)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("classes", [2, 20])
@pytest.mark.parametrize(("background", "power"), [("mean", 2), ("max", 1)])
def test_localization_maps_equal_loops(
    rng: np.random.Generator, background: str, power: float, classes: int, normalise: bool
) -> None:
    cams = unit(rng, 2, 4, 5)
    maps = localization_maps(cams, background=background, power=power, classes=classes, normalise=normalise)
    assert maps.shape == (3, 4, 5) and maps.dtype == np.float32
    for y in range(4):
        for x in range(5):
            wanted = [rest_loop(cams, y, x, background, classes, power), *(float(cam[y, x]) for cam in cams)]
            if normalise:
                wanted = [value / sum(wanted) for value in wanted]
            np.testing.assert_allclose(maps[:, y, x], wanted, atol=1e-6)


def test_with_every_class_counted_the_background_stays_near_1(rng: np.random.Generator) -> None:
    cams = unit(rng, 2, 4, 5)
    assert background_map(cams, background="mean", power=1, classes=20).min() >= 0.9
    assert background_map(cams, background="mean", power=1, classes=2).min() < 0.5


def test_fgbg_maps_are_the_prior_and_its_complement(rng: np.random.Generator) -> None:
    foreground = unit(rng, 4, 5)
    maps = fgbg_maps(foreground)
    np.testing.assert_array_equal(maps[1], foreground)
    np.testing.assert_allclose(maps.sum(axis=0), 1, atol=1e-6)


def test_sum_to_one_scales_each_pixel_by_itself() -> None:
    maps = np.array([[[1.0, 0.2]], [[3.0, 0.2]]])
    np.testing.assert_allclose(sum_to_one(maps), [[[0.25, 0.5]], [[0.75, 0.5]]])


def test_a_pixel_where_all_maps_are_0_becomes_background() -> None:
    maps = np.zeros((3, 2, 2), dtype=np.float32)
    assert sum_to_one(maps)[:, 0, 0].tolist() == [1, 0, 0]
    assert not maps.any()
