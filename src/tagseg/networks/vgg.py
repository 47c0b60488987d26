"""VGG trunks (Simonyan and Zisserman, 2015) with taps at blocks 4 and 5, at output stride 32, 16 or 8.

The layout is torchvision's: `features.0` to `features.28` are VGG-16's convolutions, so a state dict of
torchvision's `vgg16`, cut to its `features.*` keys, loads by name. Lower strides follow DeepLab v1 (Chen et
al., 2015): a pool loses its stride and all that follows is dilated, so that weights learned at stride 32 keep
their meaning.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tagseg.networks.taps import LAYERS, Taps

Blocks = Sequence[tuple[int, int]]
"""(channels, number of 3 x 3 convolutions) of each of the five blocks."""

VGG16_BLOCKS: Blocks = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
SHAPES_BLOCKS: Blocks = ((16, 1), (32, 1), (64, 2), (96, 2), (128, 2))
"""The embedded demo's network: VGG's plan at a size that a laptop trains in minutes."""

SMALLEST_SIDE = 32
"""The smallest image side, in pixels, that five halvings leave anything of."""


class StrideOnePool(nn.Module):
    """2 x 2 max pooling with stride 1, which keeps the size of its input.

    Sampled at every second position (dilation 1), it equals the stride-2 pool that it replaces. Padding is
    on the right and the bottom alone: on both sides, as in Caffe's 3 x 3 pools, it would shift the grid.
    """

    def __init__(self, dilation: int = 1) -> None:
        super().__init__()
        self.dilation = dilation

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w), not negative (post-ReLU), to (N, C, h, w)."""
        # Zero is the least value of a post-ReLU map, so a padded zero never wins over a real value.
        padded = F.pad(x, (0, self.dilation, 0, self.dilation))
        return F.max_pool2d(padded, kernel_size=2, stride=1, dilation=self.dilation)

    def extra_repr(self) -> str:
        return f"dilation={self.dilation}"


class VggTrunk(nn.Module):
    """The convolutions of a five-block VGG network.

    Attributes:
        features: the layers, at torchvision's indices (those of `vgg16`, or of `vgg16_bn` with `batch_norm`).
        channels: channels of `Taps.features`.
        own_stride: stride of `Taps.features` where every pool halves: 32 with `pool5`, else 16.
    """

    def __init__(
        self, blocks: Blocks, *, output_stride: int = 16, pool5: bool = False, batch_norm: bool = False
    ) -> None:
        """Build the trunk with random weights (He et al., 2015).

        Args:
            blocks: (channels, convolutions) of five blocks, such as `VGG16_BLOCKS`.
            output_stride: pixels of the image to one position of `Taps.features`. 32: every pool has stride 2
                (needs `pool5`); 16: pool5, if there is one, has stride 1; 8: pool4 too, conv5 has dilation 2.
            pool5: end with pool5, as VGG's own classifier expects, instead of with conv5.
            batch_norm: put a batch norm after each convolution; `fold_batch_norm` takes it away again.

        Raises:
            ValueError: not five blocks, or a stride that cannot be had.
        """
        super().__init__()
        if len(blocks) != 5:
            raise ValueError(f"a VGG trunk has 5 blocks, not {len(blocks)}")
        if output_stride not in (8, 16, 32):
            raise ValueError(f"output_stride must be 8, 16 or 32, not {output_stride}")
        if output_stride == 32 and not pool5:
            raise ValueError("output_stride 32 needs pool5=True: conv5 itself has stride 16")
        self.blocks = tuple(blocks)
        self.output_stride = output_stride
        self.pool5 = pool5
        self.own_stride = 32 if pool5 else 16
        self.batch_norm = batch_norm
        self.channels = blocks[-1][0]

        dilation = 2 if output_stride == 8 else 1
        pools: list[nn.Module] = [nn.MaxPool2d(2, 2) for _ in range(3)]
        pools.append(StrideOnePool() if output_stride == 8 else nn.MaxPool2d(2, 2))
        pools.append(nn.MaxPool2d(2, 2) if output_stride == 32 else StrideOnePool(dilation))

        layers: list[nn.Module] = []
        last_relu: list[int] = []
        incoming = 3
        for number, (channels, convolutions) in enumerate(blocks, start=1):
            spread = dilation if number == 5 else 1
            for _ in range(convolutions):
                layers.append(nn.Conv2d(incoming, channels, 3, padding=spread, dilation=spread))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(channels))
                layers.append(nn.ReLU(inplace=True))
                incoming = channels
            last_relu.append(len(layers) - 1)
            if number < 5 or pool5:
                layers.append(pools[number - 1])
        self.features = nn.Sequential(*layers)
        self._last_relu = last_relu
        self._conv4, self._conv5 = last_relu[3], last_relu[4]
        for module in self.features:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Taps:
        """Run the trunk.

        Args:
            x: (N, 3, H, W) float, normalised as the weights expect; H and W of 32 or more, of any parity.

        Returns:
            conv4 at stride 8, conv5 at stride 16 (8 for `output_stride` 8), both post-ReLU; `features` is
            conv5, or pool5's output with `pool5`.

        Raises:
            ValueError: the image is smaller than 32 pixels on a side.
        """
        height, width = x.shape[-2:]
        if min(height, width) < SMALLEST_SIDE:
            raise ValueError(
                f"an image of {height} x {width} pixels is too small for a VGG trunk: "
                f"both sides must have at least {SMALLEST_SIDE}"
            )
        conv4 = self.features[: self._conv4 + 1](x)
        conv5 = self.features[self._conv4 + 1 : self._conv5 + 1](conv4)
        return Taps(conv4, conv5, self.features[self._conv5 + 1 :](conv5))

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """conv1 to conv5, post-ReLU, of images as in `forward`: strides 1, 2, 4, 8 and that of conv5."""
        found = []
        for place, layer in enumerate(self.features[: self._conv5 + 1]):
            x = layer(x)
            if place in self._last_relu:
                found.append(x)
        return dict(zip(LAYERS, found, strict=True))


def fold_batch_norm(trunk: VggTrunk) -> VggTrunk:
    """The same function as `trunk` in evaluation mode, without batch norm.

    With running mean m and variance v, scale g and shift b, a convolution (W, c) before a batch norm becomes
    (W g / sqrt(v + eps), (c - m) g / sqrt(v + eps) + b). The result is in evaluation mode and shares no
    tensor with `trunk`; a trunk without batch norm is copied.
    """
    folded = VggTrunk(trunk.blocks, output_stride=trunk.output_stride, pool5=trunk.pool5)
    targets = (module for module in folded.features if isinstance(module, nn.Conv2d))
    layers = list(trunk.features)
    with torch.no_grad():
        for position, source in enumerate(layers):
            if not isinstance(source, nn.Conv2d):
                continue
            target = next(targets).to(device=source.weight.device, dtype=source.weight.dtype)
            assert source.bias is not None and target.bias is not None
            weight, bias = source.weight, source.bias
            norm = layers[position + 1]
            if isinstance(norm, nn.BatchNorm2d):
                assert norm.running_mean is not None and norm.running_var is not None
                gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
                weight = weight * gain[:, None, None, None]
                bias = (bias - norm.running_mean) * gain + norm.bias
            target.weight.copy_(weight)
            target.bias.copy_(bias)
    return folded.eval()
