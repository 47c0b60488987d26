"""Random starts of new layers."""

from torch import nn


def start_relu_layer(layer: nn.Conv2d) -> None:
    """He et al.'s normal weights for a convolution that a ReLU follows, and no bias."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    zero_bias(layer)


def zero_bias(layer: nn.Conv2d | nn.Linear) -> None:
    """Bias to zero, if the layer has one."""
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
