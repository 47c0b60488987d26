"""The output of every trunk: two feature maps for the foreground prior and one for the classifier."""

from typing import NamedTuple

from torch import Tensor

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
"""The five layers of Fig. 3: the last convolution of each VGG block, or its equivalent in other networks."""


class Taps(NamedTuple):
    """Feature maps of one forward pass, each (N, C, h, w) float; C, h and w differ between the three.

    `conv4` and `conv5` are the last convolutions of VGG's blocks 4 and 5 (post-ReLU), or their equivalents in other
    networks; `features` is the input of the classifier or score head.
    """

    conv4: Tensor
    conv5: Tensor
    features: Tensor
