"""Networks and pictures small enough for tests."""

import torch
from torch import Tensor, nn

from tagseg.networks.backbones.base import PREPROCESSING, Backbone, Classifier
from tagseg.networks.backbones.taps import Taps


def pictures(count: int, side: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)


def tiny_backbone(channels: int = 4, classifier: Classifier | None = None, name: str = "tiny") -> Backbone:
    class Trunk(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, channels, 4, stride=4)

        def forward(self, x: Tensor) -> Taps:
            features = self.layer(x).relu()
            return Taps(features, features, features)

    torch.manual_seed(0)
    return Backbone(name, Trunk(), channels, PREPROCESSING["imagenet"], classifier)
