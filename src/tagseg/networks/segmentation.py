"""Score networks: a dense trunk, a head with a small or large field of view, scores of every class (4.2.1)."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tagseg.networks.backbone import Backbone, FullyConnected, normalise
from tagseg.networks.classes import shared_rows
from tagseg.networks.initialisation import start_relu_layer, zero_bias
from tagseg.networks.vgg_weights import FILTERS

Fov = Literal["small", "large"]
BACKGROUND_STD = 0.1
_CELL = 32
"""Pixels to a position of VGG's own pool5, the cells that the 7 x 7 taps of fc6 were learned on."""


class ScoreNetwork(nn.Module):
    """uint8 RGB (N, 3, H, W) -> scores (N, classes, h, w) before the softmax, background first, at the map's stride.

    `upsample` brings them to the image's size.
    """

    def __init__(self, backbone: Backbone, classes: list[str], fov: Fov):
        super().__init__()
        self.trunk = backbone.trunk
        self.statistics = backbone.statistics
        if backbone.name == "vgg16":
            stride = int(backbone.trunk.output_stride)  # type: ignore[arg-type]  # (an attribute of VggTrunk)
            self.head: VggHead | ContextHead = VggHead(backbone.channels, fov, backbone.fully_connected, stride=stride)
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


@dataclass(frozen=True)
class Facts:
    """What the paper says of a score network: pixels to a position of its map, pixels that its head sees, its size."""

    stride: int
    field_of_view: int
    parameters: int


@torch.no_grad()
def describe(network: ScoreNetwork) -> Facts:
    """Stride as measured by running the trunk, field of view of the head, number of weights and biases.

    Field of view as DeepLab v1 counts it: (k - 1) * dilation * stride + the trunk's own stride, since taps lie
    dilation * stride pixels apart and each stands for one cell of the undilated trunk. What convolutions of the trunk
    see beyond a cell is not counted.
    """
    trunk, side = network.trunk, 64
    was_training, place = trunk.training, next(trunk.parameters()).device
    trunk.eval()  # batch statistics must not learn from an empty image
    stride = side // int(trunk(torch.zeros(1, 3, side, side, device=place)).features.shape[-1])
    trunk.train(was_training)
    layer = network.head.spatial
    reach = 0 if layer is None else (layer.kernel_size[0] - 1) * layer.dilation[0] * stride
    own_stride = int(trunk.own_stride)  # type: ignore[arg-type]  # (an attribute of every trunk)
    return Facts(stride, reach + own_stride, sum(parameter.numel() for parameter in network.parameters()))


def kept_taps(kernel: int, spacing: int) -> range:
    """Which of fc6's seven taps a side a kernel keeps: `kernel` of them, `spacing` apart, in the middle.

    Of two that are as central, the first: see `VggHead`.
    """
    span = spacing * (kernel - 1)
    first = (6 - span) // 2
    return range(first, first + span + 1, spacing)


class VggHead(nn.Module):
    """fc6 and fc7 as convolutions on VGG's pool5: (N, C, h, w) -> (N, width, h, w).

    At stride 8, small: 4 x 4, dilation 4, all filters, field of view 128; large: 3 x 3, dilation 12, every fourth
    filter, 224. At another stride the dilation is such that taps lie as many pixels apart.

    A tap looks where the same tap looks in the network at stride 32: position 4p of the map at stride 8 sees what
    position p of that network's sees through the taps that are kept. Large keeps taps 0, 3, 6, whose centre is p
    itself. Small keeps taps 1 to 4: an even kernel has no centre, and theirs lies 16 pixels to the left of p's and
    above it. The two pools without stride look ahead, so that pool5 at stride 8 is centred 12 pixels to the right of
    and below where `upsample` puts it: with taps 1 to 4 the score is 4 pixels off, with 2 to 5 it would be 28.
    """

    def __init__(self, channels: int, fov: Fov, layers: FullyConnected | None, *, stride: int = 8):
        super().__init__()
        kernel, dilation, share = (4, 4, 1) if fov == "small" else (3, 12, 4)
        dilation = dilation * 8 // stride
        filters = FILTERS if layers is None else len(layers.fc6_bias)
        self.width = filters // share
        self.fc6 = nn.Conv2d(channels, self.width, kernel, dilation=dilation)
        self.fc7 = nn.Conv2d(self.width, self.width, 1)
        taps = kept_taps(kernel, dilation * stride // _CELL)
        before = (3 - taps[0]) * _CELL // stride  # tap 3 of 0..6 is the position's own cell
        after = dilation * (kernel - 1) - before
        self.padding = (before, after, before, after)
        if layers is None:
            for layer in (self.fc6, self.fc7):
                start_relu_layer(layer)
        else:
            self._decimate(layers, taps, share)

    @property
    def spatial(self) -> nn.Conv2d:
        """The layer that looks around."""
        return self.fc6

    def forward(self, features: Tensor) -> Tensor:
        hidden = F.relu(self.fc6(F.pad(features, self.padding)))
        return F.relu(self.fc7(F.dropout(hidden, 0.5, self.training)))

    @torch.no_grad()
    def _decimate(self, layers: FullyConnected, taps: range, share: int) -> None:
        """Keep `taps` of the 7 x 7 kernel and every `share`-th filter."""
        kept, count = list(taps), len(layers.fc6_bias)
        fc6 = layers.fc6_weight.view(count, -1, 7, 7)[::share]
        _fill(self.fc6, fc6[:, :, kept][:, :, :, kept], layers.fc6_bias[::share])
        _fill(self.fc7, layers.fc7_weight[::share, ::share, None, None], layers.fc7_bias[::share])


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

    @property
    def spatial(self) -> nn.Conv2d | None:
        """The layer that looks around, if there is one."""
        return self.around

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
