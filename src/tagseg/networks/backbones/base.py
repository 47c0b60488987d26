"""A backbone: a trunk, its pre-processing, and the classifier it was pre-trained with."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]
# Mean and standard deviation of RGB in [0, 1], by the name used in the configuration.
PREPROCESSING: dict[str, Statistics] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "unit_symmetric": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    # the original Caffe models (torchvision's IMAGENET1K_FEATURES): mean subtracted, values in 0..255
    "caffe": ((0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)),
}


@dataclass(frozen=True)
class Classifier:
    """Last layer of the pre-trained network: weight (K, channels), bias (K,), and K class names (or WordNet ids)."""

    weight: Tensor
    bias: Tensor
    names: tuple[str, ...]


@dataclass(frozen=True)
class FullyConnected:
    """VGG's fc6, weight (F, C*7*7) and bias (F,), and fc7, weight (F, F) and bias (F,): `VggHead` subsamples them.

    VGG-16 has F = 4096 units and C = 512 channels.
    """

    fc6_weight: Tensor
    fc6_bias: Tensor
    fc7_weight: Tensor
    fc7_bias: Tensor


@dataclass(frozen=True)
class Backbone:
    """A trunk with all that is needed to use it: `trunk(x)` maps normalised (N, 3, H, W) float32 images to `Taps`.

    `channels` are those of `Taps.features`, `statistics` the mean and deviation for `normalise`. `classifier` applies
    to the global average of `Taps.features`, or to the output of `fully_connected` where that is given.
    """

    name: str
    trunk: nn.Module
    channels: int
    statistics: Statistics
    classifier: Classifier | None = None
    fully_connected: FullyConnected | None = None


def normalise(images: Tensor, statistics: Statistics) -> Tensor:
    """Pre-processing: RGB (N, 3, H, W) uint8 -> float32, minus the mean, over the deviation of the backbone."""
    mean, std = (torch.tensor(values, device=images.device).view(1, 3, 1, 1) for values in statistics)
    return (images.float() / 255 - mean) / std
