"""What every trunk returns: the two feature maps of the foreground prior and the one that a classifier reads."""

from typing import NamedTuple

from torch import Tensor


class Taps(NamedTuple):
    """Feature maps of one forward pass, each (N, C, h, w) float, C and (h, w) their own.

    `conv4` and `conv5` stand for the last convolutions of VGG's blocks 4 and 5 (post-ReLU there); `features` is
    what a classifier head reads.
    """

    conv4: Tensor
    conv5: Tensor
    features: Tensor
