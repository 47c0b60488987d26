"""The foreground prior Pf, computed from a network's mean activations (Sec. 3.1.1, Fig. 3)."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from tagseg.images.resize import resize_map

if TYPE_CHECKING:  # importing torch takes two seconds, and most users of this module do not need it
    from torch import Tensor

Layers = Literal["scale_each", "raw_sum"]
Scaling = Literal["min_max", "quantile", "otsu"]
QUANTILES = (0.10, 0.95)  # mapped to 0 and 1 by `scale_quantile`


def mean_activation(features: "Tensor") -> "Tensor":
    """Mean over channels of the absolute activations: (N, C, h, w) float -> (N, h, w) float32 on the same device.

    After a ReLU this is the paper's average pooling over channels. Where activations are signed (linear bottlenecks,
    transformers), positive and negative ones would cancel in a plain mean.
    """
    return features.float().abs().mean(dim=1)


def foreground_prior(
    activations: Sequence[np.ndarray],
    size: tuple[int, int],
    *,
    layers: Layers,
    scaling: Scaling,
    centre: float = 0.0,
) -> np.ndarray:
    """Pf (H, W) float32 in [0, 1]: mean activations resized to `size` = (H, W), added, and scaled.

    `activations` are the maps (h, w) >= 0 of conv4 and conv5 at each scale of the image. `raw_sum` adds them unscaled,
    as the paper does; `scale_each` first scales each to [0, 1], so that no layer dominates by its magnitude. If
    `centre` is not 0, the sum is scaled to [0, 1] and multiplied by `centre_gaussian` of that deviation before the
    final scaling.
    """
    maps = [resize_map(values, size) for values in activations]
    if layers == "scale_each":
        maps = [scale_min_max(values) for values in maps]
    total = np.sum(maps, axis=0)
    if centre:
        total = scale_min_max(total) * centre_gaussian(size, centre)
    return _SCALINGS[scaling](total)


def centre_gaussian(size: tuple[int, int], deviation: float) -> np.ndarray:
    """Gaussian around the image centre, 1 at its peak: (H, W) = `size` float32; `deviation` in half sides.

    Photographers tend to centre their subject; without a class, nothing else tells where the foreground is.
    """
    y, x = ((np.arange(length) + 0.5) / length * 2 - 1 for length in size)
    return np.exp(-(y[:, None] ** 2 + x**2) / (2 * deviation**2)).astype(np.float32)


def scale_min_max(values: np.ndarray) -> np.ndarray:
    """The paper's scaling: minimum to 0, maximum to 1. (H, W) -> (H, W) float32; a constant map becomes 0."""
    return _stretch(values, float(values.min()), float(values.max()))


def scale_quantile(values: np.ndarray) -> np.ndarray:
    """Scale (H, W) to float32 with the 10 % quantile at 0 and the 95 % quantile at 1, clipped.

    Unlike `scale_min_max`, a single outlier does not determine the scale.
    """
    low, high = np.quantile(values, QUANTILES)
    return _stretch(values, float(low), float(high))


def scale_otsu(values: np.ndarray) -> np.ndarray:
    """Quantile scaling, then a piecewise linear map that moves Otsu's threshold to 0.5; (H, W) -> (H, W) float32.

    The level that separates foreground from background varies between trunks and between images. Otsu's threshold of
    the image's own histogram estimates it without ground truth, so that Pf > 0.5 means foreground for any trunk.
    """
    from skimage.filters import threshold_otsu  # imported here: takes half a second, and `resize_map` does not need it

    scaled = scale_quantile(values)
    if scaled.min() == scaled.max():
        return scaled
    split = float(threshold_otsu(scaled))
    # np.interp needs increasing points: keep the threshold away from 0 and 1
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
