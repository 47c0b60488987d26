"""The localization network: Eq. 1 on its layer, and the linear head that is fitted to tags."""

import math

import pytest
import torch
import torch.nn.functional as F
from nets import pictures, tiny_backbone
from torch import Tensor, nn

from tagseg.networks.backbones.base import normalise
from tagseg.networks.localization import LocalizationNetwork, fit_linear_head, tag_cross_entropy
from tagseg.priors.cam import class_activation_maps


@torch.no_grad()
@pytest.mark.parametrize("hidden", [0, 6])
def test_mean_of_the_cam_plus_bias_is_the_logit(hidden: int) -> None:
    network = LocalizationNetwork(tiny_backbone(), 3, hidden=hidden).eval()
    torch.manual_seed(1)
    nn.init.normal_(network.linear.weight)
    nn.init.normal_(network.linear.bias)
    images = pictures(2, 20)
    for features, logits in zip(
        network.feature_map(normalise(images, network.statistics)), network(images), strict=True
    ):
        cams = class_activation_maps(features, network.linear.weight)
        assert cams.shape == (3, 5, 5)
        from_cams = cams.mean(dim=(1, 2)) + network.linear.bias
        torch.testing.assert_close(from_cams, logits, rtol=1e-4, atol=1e-5)


def test_tag_cross_entropy_by_hand() -> None:
    logits, tags = torch.tensor([[2.0, -1.0], [0.0, 3.0]]), torch.tensor([[1, 0], [0, 0]])
    total = 0.0
    for logit, tag in zip(logits.flatten().tolist(), tags.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-logit))
        total -= math.log(p) if tag else math.log(1 - p)
    assert float(tag_cross_entropy(logits, tags, "mean")) == pytest.approx(total / 4, rel=1e-6)


def head_problem() -> tuple[Tensor, Tensor]:
    """30 images, 4 features of very different scale, 2 classes that the features tell apart but for noise."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(30, 4, generator=generator) * torch.tensor([1.0, 50.0, 0.02, 5.0]) + 3
    noise = torch.randn(30, 2, generator=generator)
    tags = torch.stack([features[:, 0] - 3 + noise[:, 0] > 0, features[:, 1] - 3 + 40 * noise[:, 1] > 0], 1).float()
    return features, tags


def standardised(features: Tensor) -> Tensor:
    wide = features.double()
    return (wide - wide.mean(dim=0)) / wide.std(dim=0, correction=0)


def test_the_linear_head_reaches_the_optimum() -> None:
    features, tags = head_problem()
    decay = 0.01
    weight, bias, loss = fit_linear_head(features, tags, weight_decay=decay, iterations=500)
    scaled, wide = standardised(features), features.double()
    own = (weight.double() * wide.std(dim=0, correction=0)).requires_grad_()
    shift = (bias.double() + weight.double() @ wide.mean(dim=0)).requires_grad_()
    objective = (
        F.binary_cross_entropy_with_logits(scaled @ own.T + shift, tags.double()) + decay / 2 * own.square().sum()
    )
    gradients = torch.autograd.grad(objective, [own, shift])
    assert max(float(gradient.abs().max()) for gradient in gradients) < 1e-4
    assert loss == pytest.approx(float(objective.detach()), abs=1e-6)


def test_the_linear_head_equals_plain_gradient_descent() -> None:
    features, tags = head_problem()
    decay, scaled = 0.05, standardised(features)
    own, shift = torch.zeros(2, 4, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for _ in range(1500):
        gap = (torch.sigmoid(scaled @ own.T + shift) - tags.double()) / tags.numel()
        own, shift = own - 2 * (gap.T @ scaled + decay * own), shift - 2 * gap.sum(dim=0)
    weight, bias, _ = fit_linear_head(features, tags, weight_decay=decay, iterations=500)
    torch.testing.assert_close((features @ weight.T + bias).double(), scaled @ own.T + shift, rtol=1e-3, atol=1e-3)


def test_a_feature_that_never_changes_does_no_harm_to_the_head() -> None:
    features, tags = head_problem()
    constant = torch.cat([features, torch.full((30, 1), 4.0)], dim=1)
    weight, bias, _ = fit_linear_head(constant, tags, weight_decay=0.05, iterations=500)
    plain, plain_bias, _ = fit_linear_head(features, tags, weight_decay=0.05, iterations=500)
    assert torch.isfinite(weight).all() and torch.isfinite(bias).all()
    torch.testing.assert_close(constant @ weight.T + bias, features @ plain.T + plain_bias, rtol=1e-3, atol=1e-3)
