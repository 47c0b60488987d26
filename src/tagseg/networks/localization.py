"""The localization network: an image classifier whose weights give class activation maps (Sec. 3.1.2, Eq. 1)."""

import logging
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tagseg.networks.backbones.base import Backbone, normalise
from tagseg.networks.initialisation import init_relu_conv
from tagseg.networks.linear import fit_linear

log = logging.getLogger(__name__)


class LocalizationNetwork(nn.Module):
    """Trunk, two new 3 x 3 convolutions of `hidden` filters (none if 0), global average pooling, and a linear layer.

    `forward` maps RGB images (N, 3, H, W) uint8 to logits (N, C) of the C foreground classes. `cam_weights` (C, K) are
    the weights of Eq. 1: those of the linear layer, unless `set_cam_weights` replaces them.

    The paper's new layers are "randomly initialized". Ours are the 3 x 3 kernels, the number of filters, He's
    initialisation of the convolutions, and N(0, 0.01²) for the linear layer.
    """

    chosen: Tensor  # buffer: what `set_cam_weights` was given, or empty

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
    def cam_weights(self) -> Tensor:
        """Weights w (C, K) of Eq. 1."""
        return self.chosen if len(self.chosen) else self.linear.weight

    def set_cam_weights(self, weights: Tensor) -> None:
        """Use `weights` (C, K) in Eq. 1 instead of those of the linear layer."""
        self.chosen = weights.to(self.linear.weight.device)

    def feature_map(self, images: Tensor) -> Tensor:
        """Features f of Eq. 1: normalised images (N, 3, H, W) float -> (N, K, h, w)."""
        features: Tensor = self.convolutions(self.trunk(images).features)
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.feature_map(normalise(images, self.statistics)).mean(dim=(2, 3)))
        return logits

    def parameter_groups(self, learning_rate: float, head_factor: float) -> list[dict[str, Any]]:
        """Parameter groups for SGD: the trunk at `learning_rate`, new layers at `head_factor` times that rate."""
        new = [*self.convolutions.parameters(), *self.linear.parameters()]
        return [
            {"params": list(self.trunk.parameters()), "lr": learning_rate},
            {"params": new, "lr": learning_rate * head_factor},
        ]


def tag_cross_entropy(logits: Tensor, tags: Tensor, reduction: Literal["mean", "sum"]) -> Tensor:
    """Multi-label (sigmoid) cross entropy, the mean over images: a scalar, float32.

    `logits` and `tags` are (N, C); `tags` holds 0 or 1. Over classes it is the mean, or the sum, as in Caffe's
    SigmoidCrossEntropyLoss.
    """
    loss = F.binary_cross_entropy_with_logits(logits.float(), tags.float())
    return loss * tags.shape[1] if reduction == "sum" else loss


def summed_rows(trained: Tensor, shared: Tensor) -> Tensor:
    """Sum of the weights (C, K) of a trained head and of a pre-trained classifier, each row scaled to norm 1.

    The head has seen this data set; the classifier has seen far more images of each class. Where the classifier lacks
    a class, its row is 0 and the direction of the trained row remains.
    """
    return F.normalize(trained, dim=1) + F.normalize(shared, dim=1)


def fit_linear_head(
    features: Tensor, tags: Tensor, *, weight_decay: float, iterations: int
) -> tuple[Tensor, Tensor, float]:
    """Multi-label logistic regression: weight (C, K) float32, bias (C,) float32, and the final loss.

    Minimises the sigmoid cross entropy of `tags` (n, C), 0 or 1, the mean over images and classes, plus
    weight_decay/2 Σ w², on standardised `features` (n, K) float32 (see `fit_linear`), in float64. The standardisation
    is folded into weight and bias, which apply to raw features.
    """
    mean, std = features.mean(dim=0), features.std(dim=0, correction=0).clamp(min=1e-6)
    scaled = ((features - mean) / std).double()
    targets = tags.double()

    def cross_entropy(logits: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, targets)

    weight, bias, loss = fit_linear(
        scaled, tags.shape[1], cross_entropy, weight_decay=weight_decay, iterations=iterations
    )
    folded = weight.float() / std
    return folded, bias.float() - folded @ mean, loss


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
            init_relu_conv(layer)
    return layers
