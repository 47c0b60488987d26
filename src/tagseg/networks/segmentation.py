"""Score networks: a dense trunk, a head with a small or large field of view, scores of every class (4.2.1)."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tagseg.networks.backbone import Backbone, FullyConnected, normalise
from tagseg.networks.classes import shared_rows
from tagseg.networks.initialisation import start_relu_layer, zero_bias

Fov = Literal["small", "large"]
BACKGROUND_STD = 0.1


class ScoreNetwork(nn.Module):
    """uint8 RGB (N, 3, H, W) -> scores (N, classes, h, w) before the softmax, background first, at the map's stride.

    `upsample` brings them to the image's size.
    """

    def __init__(self, backbone: Backbone, classes: list[str], fov: Fov):
        super().__init__()
        self.trunk = backbone.trunk
        self.statistics = backbone.statistics
        if backbone.name == "vgg16":
            self.head: nn.Module = VggHead(backbone.channels, fov, backbone.fully_connected)
            width = self.head.width
        else:
            self.head = ContextHead(backbone.channels, fov)
            width = backbone.channels
        self.classifier = nn.Conv2d(width, len(classes), 1)
        self.shared = start_classifier(self.classifier, backbone, classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.head(self.trunk(normalise(images, self.statistics)).features)
        scores: Tensor = self.classifier(features)
        return scores

    def parameter_groups(self, learning_rate: float, head_factor: float) -> list[dict[str, Any]]:
        """SGD groups: trunk and head at `learning_rate`, the classifier at `head_factor` times it."""
        return [
            {"params": [*self.trunk.parameters(), *self.head.parameters()], "lr": learning_rate},
            {"params": list(self.classifier.parameters()), "lr": learning_rate * head_factor},
        ]


def upsample(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """Scores (N, C, h, w) -> (N, C, H, W), the fixed bilinear deconvolution of the paper, for any H and W."""
    return F.interpolate(scores.float(), size=size, mode="bilinear", align_corners=False)


class VggHead(nn.Module):
    """fc6 and fc7 as convolutions on VGG's pool5 at stride 8.

    small: 4 x 4, dilation 4, 4096 filters, field of view 128; large: 3 x 3, dilation 12, 1024 filters, 224.
    """

    def __init__(self, channels: int, fov: Fov, layers: FullyConnected | None):
        super().__init__()
        kernel, dilation, self.width = (4, 4, 4096) if fov == "small" else (3, 12, 1024)
        self.fc6 = nn.Conv2d(channels, self.width, kernel, dilation=dilation)
        self.fc7 = nn.Conv2d(self.width, self.width, 1)
        # an even kernel has no centre: "same" padding puts the odd pixel on the right and bottom
        span = dilation * (kernel - 1)
        self.padding = (span // 2, span - span // 2) * 2
        if layers is None:
            for layer in (self.fc6, self.fc7):
                start_relu_layer(layer)
        else:
            self._decimate(layers, kernel)

    def forward(self, features: Tensor) -> Tensor:
        hidden = F.relu(self.fc6(F.pad(features, self.padding)))
        return F.relu(self.fc7(F.dropout(hidden, 0.5, self.training)))

    @torch.no_grad()
    def _decimate(self, layers: FullyConnected, kernel: int) -> None:
        """Keep every so many taps of the 7 x 7 kernel and every so many of the 4096 filters."""
        taps = torch.linspace(0, 6, kernel).round().long()
        filters = torch.arange(0, 4096, 4096 // self.width)
        fc6 = layers.fc6_weight.view(4096, -1, 7, 7)
        _fill(self.fc6, fc6[filters][:, :, taps][:, :, :, taps], layers.fc6_bias[filters])
        _fill(self.fc7, layers.fc7_weight[filters][:, filters, None, None], layers.fc7_bias[filters])


class ContextHead(nn.Module):
    """For trunks whose classifier reads pooled features directly: nothing (small), or a look around (large).

    large is one 3 x 3 convolution a channel, dilation 6, that starts as the identity, so training begins at the
    pre-trained classifier either way.
    """

    def __init__(self, channels: int, fov: Fov):
        super().__init__()
        self.around = (
            nn.Conv2d(channels, channels, 3, padding=6, dilation=6, groups=channels) if fov == "large" else None
        )
        if self.around is not None:
            nn.init.zeros_(self.around.weight)
            zero_bias(self.around)
            with torch.no_grad():
                self.around.weight[:, 0, 1, 1] = 1

    def forward(self, features: Tensor) -> Tensor:
        return features if self.around is None else self.around(features)


def _fill(layer: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
    layer.load_state_dict({"weight": weight, "bias": bias})


@torch.no_grad()
def start_classifier(layer: nn.Conv2d, backbone: Backbone, classes: list[str]) -> list[str]:
    """Fill the last layer: rows of the pre-trained classifier where a class has a counterpart, else N(0, .1).

    Returns the names of the classes that took rows. Filters that the head dropped are dropped from the rows too.
    """
    nn.init.normal_(layer.weight, std=BACKGROUND_STD)
    zero_bias(layer)
    if backbone.classifier is None:
        return []
    weight, bias, found = shared_rows(backbone.classifier, classes)
    kept = torch.arange(0, weight.shape[1], weight.shape[1] // layer.in_channels)
    for i, has_row in enumerate(found):
        if has_row:
            layer.weight[i, :, 0, 0] = weight[i, kept]
            if layer.bias is not None:
                layer.bias[i] = bias[i]
    return [name for name, has_row in zip(classes, found, strict=True) if has_row]
