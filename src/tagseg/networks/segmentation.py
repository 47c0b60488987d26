"""Score networks: a dilated trunk, a head with a small or large field of view, and a classifier (Sec. 4.2.1)."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tagseg.networks.backbones.base import Backbone, FullyConnected, normalise
from tagseg.networks.backbones.vgg_weights import FILTERS
from tagseg.networks.initialisation import init_relu_conv, zero_bias
from tagseg.networks.synsets import shared_rows

Fov = Literal["small", "large"]
CLASSIFIER_STD = 0.1  # of rows without a pre-trained counterpart (Sec. 4.2.1)
_CELL = 32  # stride in pixels of VGG's original pool5, on which the 7 x 7 kernel of fc6 was trained


class ScoreNetwork(nn.Module):
    """A fully convolutional network that scores every class at every position; `classes` starts with the background.

    `shared` lists the classes whose classifier weights come from the pre-trained classifier.
    """

    def __init__(self, backbone: Backbone, classes: list[str], fov: Fov):
        super().__init__()
        self.trunk = backbone.trunk
        self.statistics = backbone.statistics
        if backbone.name == "vgg16":
            stride = int(backbone.trunk.output_stride)  # type: ignore[arg-type]  # (defined by VggTrunk)
            self.head: VggHead | ContextHead = VggHead(backbone.channels, fov, backbone.fully_connected, stride=stride)
            width = self.head.width
        else:
            self.head = ContextHead(backbone.channels, fov)
            width = backbone.channels
        self.classifier = nn.Conv2d(width, len(classes), 1)
        self.shared = initialise_classifier(self.classifier, backbone, classes)

    def forward(self, images: Tensor) -> Tensor:
        """RGB images (N, 3, H, W) uint8 -> scores (N, classes, h, w) float before the softmax, at the map's stride.

        `upsample` resizes them to the images' size. Scores have the dtype of the weights, or that of autocast.
        """
        features = self.head(self.trunk(normalise(images, self.statistics)).features)
        scores: Tensor = self.classifier(features)
        return scores

    def parameter_groups(self, learning_rate: float, head_factor: float) -> list[dict[str, Any]]:
        """Parameter groups for SGD: trunk and head at `learning_rate`, the classifier at `head_factor` times it."""
        return [
            {"params": [*self.trunk.parameters(), *self.head.parameters()], "lr": learning_rate},
            {"params": list(self.classifier.parameters()), "lr": learning_rate * head_factor},
        ]


def upsample(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """The paper's fixed bilinear deconvolution: scores (N, C, h, w) -> (N, C, H, W) float32, `size` = (H, W)."""
    return F.interpolate(scores.float(), size=size, mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class Description:
    """Stride of the score map in pixels, field of view of the head in pixels, and number of parameters."""

    stride: int
    field_of_view: int
    parameters: int


@torch.no_grad()
def describe(network: ScoreNetwork) -> Description:
    """Measure stride, field of view and size of a network; the stride is found by running the trunk.

    The field of view is counted as in DeepLab v1: (k - 1) * dilation * stride + the trunk's own stride, since taps are
    dilation * stride pixels apart and each covers one cell of the undilated trunk. The trunk's own receptive field
    beyond that cell is not counted.
    """
    trunk, side = network.trunk, 64
    was_training, device = trunk.training, next(trunk.parameters()).device
    trunk.eval()  # batch norm must not update its statistics on an empty image
    stride = side // int(trunk(torch.zeros(1, 3, side, side, device=device)).features.shape[-1])
    trunk.train(was_training)
    layer = network.head.spatial
    reach = 0 if layer is None else (layer.kernel_size[0] - 1) * layer.dilation[0] * stride
    own_stride = int(trunk.own_stride)  # type: ignore[arg-type]  # (defined by every trunk)
    return Description(stride, reach + own_stride, sum(parameter.numel() for parameter in network.parameters()))


def kept_taps(kernel: int, spacing: int) -> range:
    """Indices, per side, of the 7 taps of fc6 that are kept: `kernel` of them, `spacing` apart, centred.

    Of two equally central choices the first is taken, for the reason given in `VggHead`.
    """
    span = spacing * (kernel - 1)
    first = (6 - span) // 2
    return range(first, first + span + 1, spacing)


class VggHead(nn.Module):
    """fc6 and fc7 of VGG as convolutions on pool5: (N, C, h, w) -> (N, width, h, w), after a ReLU.

    At stride 8, `small` has a 4 x 4 kernel, dilation 4 and all filters (field of view 128), `large` a 3 x 3 kernel,
    dilation 12 and every fourth filter (224). At other strides the dilation keeps the spacing of the taps in pixels.

    Each kept tap covers the same pixels as in the original network at stride 32: position 4p at stride 8 sees what
    position p sees there. `large` keeps taps 0, 3 and 6, which are centred on p. `small` keeps taps 1 to 4: an even
    kernel has no centre tap, and theirs is 16 pixels left of and above p. Since the two stride-1 pools are padded at
    the right and bottom, pool5 at stride 8 is centred 12 pixels right of and below the position where `upsample` places
    it. Taps 1 to 4 therefore shift the scores by 4 pixels; taps 2 to 5 would shift them by 28.

    In training, half of the activations are dropped after fc6, and none after fc7. The paper does not mention dropout;
    DeepLab v1 drops half after both.
    """

    def __init__(self, channels: int, fov: Fov, layers: FullyConnected | None, *, stride: int = 8):
        super().__init__()
        kernel, dilation, filter_step = (4, 4, 1) if fov == "small" else (3, 12, 4)
        dilation = dilation * 8 // stride
        filters = FILTERS if layers is None else len(layers.fc6_bias)
        self.width = filters // filter_step
        self.fc6 = nn.Conv2d(channels, self.width, kernel, dilation=dilation)
        self.fc7 = nn.Conv2d(self.width, self.width, 1)
        taps = kept_taps(kernel, dilation * stride // _CELL)
        before = (3 - taps[0]) * _CELL // stride  # tap 3 of 0..6 is the centre
        after = dilation * (kernel - 1) - before
        self.padding = (before, after, before, after)
        if layers is None:
            for layer in (self.fc6, self.fc7):
                init_relu_conv(layer)
        else:
            self._decimate(layers, taps, filter_step)

    @property
    def spatial(self) -> nn.Conv2d:
        """The layer that determines the field of view."""
        return self.fc6

    def forward(self, features: Tensor) -> Tensor:
        hidden = F.relu(self.fc6(F.pad(features, self.padding)))
        return F.relu(self.fc7(F.dropout(hidden, 0.5, self.training)))

    @torch.no_grad()
    def _decimate(self, layers: FullyConnected, taps: range, filter_step: int) -> None:
        """Keep `taps` of the 7 x 7 kernel and every `filter_step`-th filter."""
        kept, count = list(taps), len(layers.fc6_bias)
        fc6 = layers.fc6_weight.view(count, -1, 7, 7)[::filter_step]
        _fill(self.fc6, fc6[:, :, kept][:, :, :, kept], layers.fc6_bias[::filter_step])
        fc7 = layers.fc7_weight[::filter_step, ::filter_step, None, None]
        _fill(self.fc7, fc7, layers.fc7_bias[::filter_step])


class ContextHead(nn.Module):
    """Head for trunks whose classifier applies to pooled features directly: (N, C, h, w) -> (N, C, h, w).

    `small` is the identity. `large` is a depthwise 3 x 3 convolution with dilation 6, initialised to the identity, so
    that training starts from the pre-trained classifier in both cases.
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
        """The layer that enlarges the field of view, if there is one."""
        return self.around

    def forward(self, features: Tensor) -> Tensor:
        return features if self.around is None else self.around(features)


def _fill(layer: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
    layer.load_state_dict({"weight": weight, "bias": bias})


@torch.no_grad()
def initialise_classifier(layer: nn.Conv2d, backbone: Backbone, classes: list[str]) -> list[str]:
    """Initialise the last layer: rows of the pre-trained classifier for classes that it has, N(0, 0.1²) for others.

    Returns the names of the classes that it has. Filters that the head dropped are dropped from the rows, too.
    """
    nn.init.normal_(layer.weight, std=CLASSIFIER_STD)
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
