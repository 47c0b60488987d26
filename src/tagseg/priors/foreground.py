"""The foreground prior Pf of a network's mean activations (the paper's 3.1.1, Fig. 3)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image
from skimage.filters import threshold_otsu

if TYPE_CHECKING:  # to import torch costs two seconds, and most stages that use this module need none of it
    from torch import Tensor

Layers = Literal["scale_each", "raw_sum"]
Scaling = Literal["min_max", "quantile", "otsu"]
QUANTILES = (0.10, 0.95)


def mean_activation(features: "Tensor") -> "Tensor":
    """Mean over channels of absolute activations: (N, C, h, w) -> (N, h, w) float32, on the features' device.

    After a ReLU this is the paper's average pooling over channels; where a trunk's activations are signed (linear
    bottlenecks, transformers), a plain mean would cancel.
    """
    return features.float().abs().mean(dim=1)


def resize_map(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear resize of a map (h, w) to `size` = (H, W), float32; antialiased when it shrinks."""
    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def foreground_prior(
    conv4: np.ndarray, conv5: np.ndarray, size: tuple[int, int], *, layers: Layers, scaling: Scaling
) -> np.ndarray:
    """Pf: mean activations (h4, w4) and (h5, w5), resized to `size`, added, scaled to [0, 1]; (H, W) float32.

    `raw_sum` adds the two as they are, which is how the paper reads; `scale_each` brings each to [0, 1] first, so
    that neither layer's magnitude decides alone.
    """
    maps = [resize_map(conv4, size), resize_map(conv5, size)]
    if layers == "scale_each":
        maps = [scale_min_max(values) for values in maps]
    return _SCALINGS[scaling](maps[0] + maps[1])


def scale_min_max(values: np.ndarray) -> np.ndarray:
    """Minimum to 0, maximum to 1: the paper's scaling. A constant map becomes 0."""
    return _stretch(values, float(values.min()), float(values.max()))


def scale_quantile(values: np.ndarray) -> np.ndarray:
    """The 10 % quantile to 0, the 95 % quantile to 1, clipped: one outlier no longer sets the scale."""
    low, high = np.quantile(values, QUANTILES)
    return _stretch(values, float(low), float(high))


def scale_otsu(values: np.ndarray) -> np.ndarray:
    """Quantile scaling, then a kink that puts Otsu's threshold of the image's own histogram at one half.

    Where the border between foreground and background lies differs from trunk to trunk and image to image; Otsu's
    split finds it without truth, so that Pf > .5 means foreground for any trunk.
    """
    scaled = scale_quantile(values)
    if scaled.min() == scaled.max():
        return scaled
    split = float(threshold_otsu(scaled))
    # interp needs ascending points; a split on the edge of the range would make two of them equal
    split = min(max(split, 1e-3), 1 - 1e-3)
    return np.interp(scaled, [0.0, split, 1.0], [0.0, 0.5, 1.0]).astype(np.float32)


def _stretch(values: np.ndarray, low: float, high: float) -> np.ndarray:
    if high <= low:
        return np.zeros_like(values, dtype=np.float32)
    return np.clip((values - low) / (high - low), 0, 1).astype(np.float32)


_SCALINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "min_max": scale_min_max,
    "quantile": scale_quantile,
    "otsu": scale_otsu,
}
