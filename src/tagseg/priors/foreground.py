"""The foreground prior Pf of a network's mean activations (the paper's 3.1.1, Fig. 3)."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

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
    activations: Sequence[np.ndarray],
    size: tuple[int, int],
    *,
    layers: Layers,
    scaling: Scaling,
    centre: float = 0.0,
) -> np.ndarray:
    """Pf: mean activations, each (h, w), resized to `size`, added, scaled to [0, 1]; (H, W) float32.

    They are those of conv4 and conv5, of each scale at which the image was looked at. `raw_sum` adds them as they are,
    which is how the paper reads; `scale_each` brings each to [0, 1] first, so that no layer's magnitude decides alone.
    With `centre`, the sum, brought to [0, 1], is multiplied by `middle` of that deviation before it is scaled.
    """
    maps = [resize_map(values, size) for values in activations]
    if layers == "scale_each":
        maps = [scale_min_max(values) for values in maps]
    total = np.sum(maps, axis=0)
    if centre:
        total = scale_min_max(total) * middle(size, centre)
    return _SCALINGS[scaling](total)


def middle(size: tuple[int, int], deviation: float) -> np.ndarray:
    """Gaussian about the middle of an image, `deviation` in half sides: (H, W) float32, 1 in the middle.

    People put what they photograph there; it is all that is known of where to look when no class is named.
    """
    y, x = ((np.arange(length) + 0.5) / length * 2 - 1 for length in size)
    return np.exp(-(y[:, None] ** 2 + x**2) / (2 * deviation**2)).astype(np.float32)


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
    from skimage.filters import threshold_otsu  # here: it takes half a second to load, and resizing does without

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
