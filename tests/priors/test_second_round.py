"""The second round: pixels that are sure, a regression among an image's own labels, and views of several sizes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tagseg.networks.localization import LocalizationNetwork, summed_rows
from tagseg.networks.views import mean_over_mirror, views
from tagseg.priors.second_round import (
    Samples,
    confident_pixels,
    fit_pixels,
    pixel_features,
    pixel_grid,
    pixel_maps,
    second_round,
)
from tagseg.stages.recipe_panels import _ends_and_middle

# views


def picture(height: int = 48, width: int = 64) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_views_have_the_sizes_of_their_scales_and_their_mirror_images() -> None:
    given = list(views(picture(), [0.5, 1, 1.5], mirror=True))
    assert [tuple(view.shape[2:]) for pair in given for view in pair] == [
        (32, 32),
        (32, 32),
        (48, 64),
        (48, 64),
        (72, 96),
        (72, 96),
    ]  # fmt: skip  (24 pixels are too few for a trunk)
    for straight, mirrored in given:
        assert torch.equal(straight.flip(3), mirrored)
    assert torch.equal(given[1][0], picture())
    assert [len(same) for same in views(picture(), [1, 2], mirror=False)] == [1, 1]


def test_a_smaller_view_is_antialiased() -> None:
    stripes = torch.zeros(1, 3, 128, 128)
    stripes[..., ::2] = 1
    ((small,),) = views(stripes, [0.25], mirror=False)
    inner = small[..., 2:-2]
    assert float(inner.min()) > 0.4 and float(inner.max()) < 0.6


def test_the_mirrored_map_is_turned_back() -> None:
    maps = torch.arange(6.0).view(1, 1, 2, 3)
    assert torch.equal(mean_over_mirror([maps, maps.flip(3)]), maps)
    assert torch.equal(mean_over_mirror([maps]), maps)


# features


def layers(scale: float) -> list[np.ndarray]:
    """Maps of two layers at a scale: 3 and 2 channels, of different sizes."""
    rng = np.random.default_rng(round(8 * scale))
    sides = [(round(6 * scale), round(8 * scale)), (round(3 * scale), round(4 * scale))]
    return [rng.normal(size=(count, *side)).astype(np.float16) for count, side in zip((3, 2), sides, strict=True)]


def by_torch(scales: list[list[np.ndarray]], grid: tuple[int, int]) -> Tensor:
    """The features (K, H, W) of the whole grid, by torch, float64."""
    sized = [
        [F.interpolate(torch.from_numpy(own)[None].double(), grid, mode="bilinear")[0] for own in maps]
        for maps in scales
    ]
    return torch.stack([torch.cat(maps) for maps in sized]).mean(dim=0)


@pytest.mark.parametrize("scales", [[1], [0.5, 1, 1.5]])
def test_features_are_all_layers_at_the_grid_averaged_over_scales(scales: list[float]) -> None:
    maps, grid = [layers(scale) for scale in scales], (6, 8)
    wanted = by_torch(maps, grid).reshape(5, -1).numpy()
    positions = np.array([0, 47, 9, 8, 30, 9])
    features = pixel_features(maps, grid, positions)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, wanted.T[positions], atol=1e-5)
    assert pixel_features(maps, grid, positions[:0]).shape == (0, 5)


# pixels to learn from


def marginals(pixels: int = 400) -> np.ndarray:
    """Three labels: most pixels of the first, few of the last, every other pixel in doubt."""
    shares = np.full((3, pixels), 0.3)
    winner = np.r_[np.zeros(300, int), np.ones(80, int), np.full(20, 2)]
    shares[winner, np.arange(pixels)] = np.where(np.arange(pixels) % 2, 0.9, 0.4)
    return shares / shares.sum(axis=0)


def test_as_many_sure_pixels_of_each_label() -> None:
    taken = confident_pixels(marginals(), 60, 0.55, np.random.default_rng(0))
    winner = marginals()[:, taken].argmax(axis=0)
    assert np.bincount(winner).tolist() == [20, 20, 10]  # of the last there are no more
    assert len(set(taken)) == len(taken) and (taken % 2 == 1).all()
    again = confident_pixels(marginals(), 60, 0.55, np.random.default_rng(0))
    assert (taken == again).all()
    assert not np.array_equal(taken, confident_pixels(marginals(), 60, 0.55, np.random.default_rng(1)))


def test_no_sure_pixel_gives_none() -> None:
    assert len(confident_pixels(marginals(), 60, 0.99, np.random.default_rng(0))) == 0


@pytest.mark.parametrize(("size", "grid"), [((48, 64), (6, 8)), ((49, 57), (7, 8)), ((1, 8), (1, 1))])
def test_the_grid_covers_the_image(size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert pixel_grid(*size) == grid


# the regression


def problem() -> Samples:
    """300 pixels of images of two labels out of four: background, and one other that three features tell."""
    rng = np.random.default_rng(0)
    own = rng.integers(1, 4, 300)
    is_object = rng.integers(0, 2, 300).astype(bool)
    label = np.where(is_object, own, 0)
    features = (np.eye(4)[label][:, 1:] * 2 + rng.normal(0, 0.7, (300, 3))) * [1, 100, 0.01] + 5
    allowed = np.zeros((300, 4), dtype=bool)
    allowed[:, 0] = allowed[np.arange(300), own] = True
    soft = np.where(allowed, 0.15, 0)
    soft[np.arange(300), label] = 0.85
    return Samples(features.astype(np.float32), soft.astype(np.float32), allowed)


def objective(samples: Samples, weight: Tensor, bias: Tensor, decay: float) -> Tensor:
    """By its definition, pixel by pixel, in float64; `weight` acts on features scaled to deviation 1."""
    features = samples.features.astype(np.float64)
    scaled = torch.from_numpy((features - features.mean(axis=0)) / (features.std(axis=0) + 1e-3))
    total = torch.zeros((), dtype=torch.float64)
    for x, soft, allowed in zip(scaled, samples.soft, samples.allowed, strict=True):
        own = np.flatnonzero(allowed)
        logs = (weight[own] @ x + bias[own]).log_softmax(dim=0)
        total = total - (torch.from_numpy(soft[own].astype(np.float64)) * logs).sum()
    return total / len(scaled) + decay / 2 * weight.square().sum()


def test_the_regression_reaches_the_optimum_of_its_definition() -> None:
    samples, decay = problem(), 0.1
    weight, bias, loss = fit_pixels(samples, decay=decay, iterations=200)
    std, mean = samples.features.std(axis=0).astype(np.float64) + 1e-3, samples.features.mean(axis=0).astype(np.float64)
    own = torch.from_numpy(weight * std).double().requires_grad_()
    shift = torch.from_numpy(bias + weight @ mean).double().requires_grad_()
    value = objective(samples, own, shift, decay)
    assert loss == pytest.approx(float(value.detach()), abs=1e-4)
    for gradient in torch.autograd.grad(value, [own, shift]):
        assert float(gradient.abs().max()) < 1e-3


def test_the_regression_tells_objects_from_background_and_forbids_other_labels() -> None:
    samples = problem()
    weight, bias, _ = fit_pixels(samples, decay=0.01, iterations=100)
    right = 0
    for x, soft, allowed in zip(samples.features, samples.soft, samples.allowed, strict=True):
        own = np.flatnonzero(allowed).tolist()
        maps = pixel_maps([[x[:, None, None]]], (1, 1), weight, bias, own)
        assert maps.shape == (2, 1, 1) and float(maps.sum()) == pytest.approx(1)
        right += own[int(maps.argmax())] == int(soft.argmax())
    assert right / len(samples.soft) > 0.85


def test_maps_of_the_regression_equal_loops_over_features() -> None:
    rng, grid = np.random.default_rng(0), (6, 8)
    weight, bias = rng.normal(size=(5, 5)).astype(np.float32), rng.normal(size=5).astype(np.float32)
    scales = [layers(scale) for scale in (0.5, 1, 1.5)]
    maps, features = pixel_maps(scales, grid, weight, bias, [0, 4]), by_torch(scales, grid).numpy()
    assert maps.shape == (2, *grid) and maps.dtype == np.float32
    for y in range(6):
        for x in range(8):
            scores = [float(weight[k] @ features[:, y, x] + bias[k]) for k in (0, 4)]
            shares = np.exp(scores) / np.exp(scores).sum()
            np.testing.assert_allclose(maps[:, y, x], shares, rtol=1e-4)


def test_an_image_without_a_tag_stays_background() -> None:
    maps = pixel_maps([layers(1)], (2, 2), np.ones((4, 5), np.float32), np.ones(4, np.float32), [0])
    np.testing.assert_array_equal(maps, np.ones((1, 2, 2)))


def test_the_second_round_is_a_weighted_mean() -> None:
    first, again = np.full((2, 1, 1), 0.2), np.array([0.9, 0.1]).reshape(2, 1, 1)
    np.testing.assert_allclose(second_round(first, again, 0.25).ravel(), [0.375, 0.175], rtol=1e-6)


# the picture of recipes


def test_a_third_worst_a_third_in_the_middle_a_third_best() -> None:
    assert _ends_and_middle(list(range(20)), 6) == [0, 1, 9, 10, 18, 19]
    assert _ends_and_middle(list(range(20)), 4) == [0, 9, 10, 19]
    assert _ends_and_middle([2, 0, 1], 6) == [2, 0, 1]


# rows of Eq. 1


def test_summed_rows_have_equal_say_whatever_their_length() -> None:
    trained, shared = torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[0.0, 50.0], [0.0, 0.0]])
    torch.testing.assert_close(summed_rows(trained, shared), torch.tensor([[0.6, 1.8], [0.0, 1.0]]))


class Bare:
    """The least that a localization network needs of a backbone."""

    def __init__(self) -> None:
        self.trunk = torch.nn.Identity()
        self.channels = 3
        self.statistics = ((0.5,) * 3, (0.5,) * 3)


def test_chosen_rows_are_used_for_maps_and_leave_the_classifier_alone() -> None:
    network = LocalizationNetwork(Bare(), 2, hidden=0)  # type: ignore[arg-type]
    assert network.cam_weights is network.linear.weight
    rows = torch.ones(2, 3)
    network.set_cam_weights(rows)
    assert network.cam_weights is rows and not torch.equal(network.linear.weight, rows)
