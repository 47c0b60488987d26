"""What every trunk returns: the two feature maps of the foreground prior and the one that a classifier reads."""

from typing import NamedTuple

from torch import Tensor

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
"""The paper's five layers (Fig. 3): the last convolution of each of VGG's blocks, and what stands for it elsewhere."""


class Taps(NamedTuple):
    """Feature maps of one forward pass, each (N, C, h, w) float, C and (h, w) their own.

    `conv4` and `conv5` stand for the last convolutions of VGG's blocks 4 and 5 (post-ReLU there); `features` is
    what a classifier head reads.
    """

    conv4: Tensor
    conv5: Tensor
    features: Tensor
