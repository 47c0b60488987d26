"""What a backbone is: a trunk, its pre-processing, and the classifier that it was pre-trained with."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]
# Mean and standard deviation of RGB in [0, 1] by name, as a configuration gives them.
PREPROCESSING: dict[str, Statistics] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "unit_symmetric": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    # torchvision's IMAGENET1K_FEATURES: the mean of the original Caffe models, values in 0..255
    "caffe": ((0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)),
}


@dataclass(frozen=True)
class Classifier:
    """Last layer of the pre-trained network: weight (K, channels), bias (K,), the name (or WordNet id) of each row."""

    weight: Tensor
    bias: Tensor
    names: tuple[str, ...]


@dataclass(frozen=True)
class FullyConnected:
    """VGG's fc6, weight (F, C*7*7) and bias (F,), and fc7, (F, F) and (F,): its score networks are cut from them.

    VGG-16 has F = 4096 filters on C = 512 channels.
    """

    fc6_weight: Tensor
    fc6_bias: Tensor
    fc7_weight: Tensor
    fc7_bias: Tensor


@dataclass(frozen=True)
class Backbone:
    """A trunk ready to use. `trunk(x)` takes normalised (N, 3, H, W) float32 and returns `Taps`.

    `classifier` reads the global average of `Taps.features`, unless `fully_connected` stands between the two.
    """

    name: str
    trunk: nn.Module
    channels: int
    statistics: Statistics
    classifier: Classifier | None = None
    fully_connected: FullyConnected | None = None


def normalise(images: Tensor, statistics: Statistics) -> Tensor:
    """Pre-processing: (N, 3, H, W) uint8 RGB -> float32 with the backbone's mean and deviation."""
    mean, std = (torch.tensor(values, device=images.device).view(1, 3, 1, 1) for values in statistics)
    return (images.float() / 255 - mean) / std
