"""Class activation maps (Eq. 1)."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # to import torch costs two seconds, and most stages that use this module need none of it
    from torch import Tensor


def class_activation_maps(features: "Tensor", weights: "Tensor") -> "Tensor":
    """Eq. 1: M_c(x, y) = Σ_k w_kc f_k(x, y).

    `features` (K, h, w) and `weights` (C, K) give (C, h, w) float32, of any sign, on their device. A bias is
    left out, as in Eq. 1: it moves a map by a constant.
    """
    return (weights @ features.flatten(1)).view(len(weights), *features.shape[1:]).float()


def scale_cam(cam: np.ndarray) -> np.ndarray:
    """Negative values clipped, then the maximum to 1: (H, W) in [0, 1]. A map without a positive value becomes 0."""
    positive = np.maximum(cam, 0).astype(np.float32)
    peak = float(positive.max())
    return positive / peak if peak > 0 else positive


def binary_cam(cam: np.ndarray, threshold: float) -> np.ndarray:
    """B_c: 1 where M_c exceeds `threshold` (the paper: .2) times its maximum; (H, W) float32 of 0 and 1."""
    return (cam > threshold * cam.max()).astype(np.float32)
