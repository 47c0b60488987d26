"""The localization network: a classifier whose weights, applied at every position, say where it looks (Eq. 1)."""

import logging
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tagseg.networks.backbone import Backbone, normalise
from tagseg.networks.initialisation import start_relu_layer

log = logging.getLogger(__name__)


class LocalizationNetwork(nn.Module):
    """Trunk, two new 3 x 3 convolutions of `hidden` filters (none if 0), global average pooling, one linear layer.

    `forward` takes uint8 RGB (N, 3, H, W) and returns logits (N, C), C foreground classes. `cam_rows` (C, K) are the
    weights of Eq. 1: those of the last layer, unless `choose_rows` says otherwise.
    """

    chosen: Tensor

    def __init__(self, backbone: Backbone, classes: int, *, hidden: int):
        super().__init__()
        self.trunk = backbone.trunk
        self.statistics = backbone.statistics
        self.convolutions = _new_convolutions(backbone.channels, hidden)
        self.linear = nn.Linear(hidden or backbone.channels, classes)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("chosen", torch.empty(0))

    @property
    def cam_rows(self) -> Tensor:
        """Weights (C, K) of Eq. 1."""
        return self.chosen if len(self.chosen) else self.linear.weight

    def choose_rows(self, rows: Tensor) -> None:
        """Use `rows` (C, K) for Eq. 1 in place of the last layer's weights."""
        self.chosen = rows.to(self.linear.weight.device)

    def feature_map(self, images: Tensor) -> Tensor:
        """f_k of Eq. 1 of normalised images: (N, K, h, w)."""
        features: Tensor = self.convolutions(self.trunk(images).features)
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.feature_map(normalise(images, self.statistics)).mean(dim=(2, 3)))
        return logits

    def parameter_groups(self, learning_rate: float, head_factor: float) -> list[dict[str, Any]]:
        """SGD groups: the trunk at `learning_rate`, the new layers at `head_factor` times it."""
        new = [*self.convolutions.parameters(), *self.linear.parameters()]
        return [
            {"params": list(self.trunk.parameters()), "lr": learning_rate},
            {"params": new, "lr": learning_rate * head_factor},
        ]


def tag_cross_entropy(logits: Tensor, tags: Tensor) -> Tensor:
    """Multi-label cross entropy: the mean over images and classes of the sigmoid's, both (N, C), tags 0 or 1."""
    return F.binary_cross_entropy_with_logits(logits.float(), tags.float())


@torch.no_grad()
def pooled_features(network: LocalizationNetwork, batches: Iterable[Tensor]) -> Tensor:
    """Globally averaged features (n, K) of uint8 batches: all that a linear head on a frozen trunk needs."""
    network.eval()
    inputs = (normalise(images, network.statistics) for images in batches)
    return torch.cat([network.feature_map(images).mean(dim=(2, 3)) for images in inputs])


def summed_rows(trained: Tensor, shared: Tensor) -> Tensor:
    """Rows (C, K) of a trained head and of a pre-trained classifier, each scaled to norm 1, added.

    A class that the classifier does not know has a row of zeros there and keeps the trained direction. The trained head
    knows this data set's pictures, the classifier has seen a thousand times as many of the class.
    """
    return F.normalize(trained, dim=1) + F.normalize(shared, dim=1)


def fit_linear_head(
    features: Tensor, tags: Tensor, *, weight_decay: float, iterations: int
) -> tuple[Tensor, Tensor, float]:
    """Weight (C, K), bias (C,) and final loss of multi-label logistic regression on features (n, K), tags (n, C).

    Minimises `tag_cross_entropy` + weight_decay/2 Σ w² over features scaled to deviation 1, by L-BFGS. The problem
    is convex, so the result depends on neither seed nor learning rate. The scale is folded into the weight.
    """
    mean, std = features.mean(dim=0), features.std(dim=0, correction=0).clamp(min=1e-6)
    scaled = ((features - mean) / std).double()
    weight = torch.zeros(tags.shape[1], features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(tags.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=iterations, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        logits = scaled @ weight.T + bias
        loss = F.binary_cross_entropy_with_logits(logits, tags.double()) + weight_decay / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    loss = float(closure().detach())
    with torch.no_grad():
        final = weight.float() / std
        return final, bias.float() - final @ mean, loss


def _new_convolutions(channels: int, hidden: int) -> nn.Module:
    if not hidden:
        return nn.Identity()
    layers = nn.Sequential(
        nn.Conv2d(channels, hidden, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(hidden, hidden, 3, padding=1),
        nn.ReLU(),
    )
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            start_relu_layer(layer)
    return layers
