"""VGG trunks (Simonyan and Zisserman, 2015) that return blocks 4 and 5, at output stride 32, 16 or 8.

Layers are named as in torchvision: `features.0` to `features.28` are the convolutions of VGG-16, so the `features.*`
part of torchvision's state dict loads by name. Lower strides follow DeepLab v1 (Chen et al., 2015): pooling layers
lose their stride and later layers are dilated, so that weights trained at stride 32 still apply.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tagseg.images.resize import SMALLEST_SIDE
from tagseg.networks.backbones.taps import LAYERS, Taps

Blocks = Sequence[tuple[int, int]]
"""(channels, number of 3 x 3 convolutions) of each of the five blocks."""

VGG16_BLOCKS: Blocks = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
SHAPES_BLOCKS: Blocks = ((16, 1), (32, 1), (64, 2), (96, 2), (128, 2))
"""The network of the embedded demo: VGG's layout, small enough to train on a laptop in minutes."""


class StrideOnePool(nn.Module):
    """2 x 2 max pooling with stride 1, which preserves the size of its input.

    Sampled at every second position (with dilation 1), it equals the stride-2 pooling that it replaces. Padding is at
    the right and bottom only: padding on all sides, as in Caffe's 3 x 3 pooling, would shift the grid.
    """

    def __init__(self, dilation: int = 1) -> None:
        super().__init__()
        self.dilation = dilation

    def forward(self, x: Tensor) -> Tensor:
        """Pool maps (N, C, h, w) >= 0 (post-ReLU) to (N, C, h, w)."""
        # post-ReLU values are at least 0, so padding with 0 never changes the maximum
        padded = F.pad(x, (0, self.dilation, 0, self.dilation))
        return F.max_pool2d(padded, kernel_size=2, stride=1, dilation=self.dilation)

    def extra_repr(self) -> str:
        return f"dilation={self.dilation}"


class VggTrunk(nn.Module):
    """The convolutions of a five-block VGG network.

    Attributes:
        features: the layers, indexed as in torchvision's `vgg16`, or `vgg16_bn` with `batch_norm`.
        channels: channels of `Taps.features`.
        own_stride: stride of `Taps.features` if every pooling layer has stride 2: 32 with `pool5`, else 16.
    """

    def __init__(
        self, blocks: Blocks, *, output_stride: int = 16, pool5: bool = False, batch_norm: bool = False
    ) -> None:
        """Build the trunk with random weights (He et al., 2015).

        Args:
            blocks: (channels, convolutions) of the five blocks, such as `VGG16_BLOCKS`.
            output_stride: stride of `Taps.features` in pixels. 32: every pooling layer has stride 2 (needs `pool5`);
                16: pool5, if present, has stride 1; 8: pool4 has stride 1, too, and conv5 has dilation 2.
            pool5: end with pool5, the input of VGG's classifier, instead of conv5.
            batch_norm: add batch norm after each convolution; `fold_batch_norm` removes it.

        Raises:
            ValueError: the number of blocks is not five, or the stride is not possible.
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
        self.channels = blocks[-1][0]

        dilation = 2 if output_stride == 8 else 1
        pools: list[nn.Module] = [nn.MaxPool2d(2, 2) for _ in range(3)]
        pools.append(StrideOnePool() if output_stride == 8 else nn.MaxPool2d(2, 2))
        pools.append(nn.MaxPool2d(2, 2) if output_stride == 32 else StrideOnePool(dilation))

        layers: list[nn.Module] = []
        last_relu: list[int] = []
        incoming = 3
        for number, (channels, convolutions) in enumerate(blocks, start=1):
            own_dilation = dilation if number == 5 else 1
            for _ in range(convolutions):
                layers.append(nn.Conv2d(incoming, channels, 3, padding=own_dilation, dilation=own_dilation))
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
            x: images (N, 3, H, W) float, normalised as the weights expect; H and W at least 32, odd or even.

        Returns:
            conv4 at stride 8 and conv5 at stride 16 (8 for `output_stride` 8), both post-ReLU; `features` is conv5,
            or the output of pool5 with `pool5`.

        Raises:
            ValueError: a side of the images is shorter than 32 pixels.
        """
        height, width = x.shape[-2:]
        if min(height, width) < SMALLEST_SIDE:
            raise ValueError(
                f"an image of {height} x {width} pixels is too small for a VGG trunk: "
                f"both sides must have at least {SMALLEST_SIDE}"
            )
        conv4, conv5 = self.maps(x)
        return Taps(conv4, conv5, self.tail(conv5))

    @property
    def tail(self) -> nn.Sequential:
        """What makes `Taps.features` of conv5: pool5, or nothing."""
        tail = self.features[self._conv5 + 1 :]
        tail.training = self.training
        return tail

    def maps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """conv4 and conv5 alone, for images as in `forward`."""
        conv4 = self.features[: self._conv4 + 1](x)
        return conv4, self.features[self._conv4 + 1 : self._conv5 + 1](conv4)

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """conv1 to conv5 (N, C, h, w), post-ReLU, for images as in `forward`: strides 1, 2, 4, 8 and that of conv5."""
        found = []
        for index, layer in enumerate(self.features[: self._conv5 + 1]):
            x = layer(x)
            if index in self._last_relu:
                found.append(x)
        return dict(zip(LAYERS, found, strict=True))


def fold_batch_norm(trunk: VggTrunk) -> VggTrunk:
    """A copy of `trunk` without batch norm that computes the same function as `trunk` in evaluation mode.

    With running mean m and variance v, scale g and shift b, a convolution with weight W and bias c becomes
    (W g / sqrt(v + eps), (c - m) g / sqrt(v + eps) + b). The copy is in evaluation mode and shares no tensors with
    `trunk`.
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
