"""Initialisation of new layers."""

from torch import nn


def init_relu_conv(layer: nn.Conv2d) -> None:
    """Kaiming normal weights (He et al., 2015) and zero bias, for a convolution followed by a ReLU."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    zero_bias(layer)


def zero_bias(layer: nn.Conv2d | nn.Linear) -> None:
    """Set the bias to zero, if the layer has one."""
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
