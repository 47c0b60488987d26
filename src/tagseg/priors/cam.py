"""Class activation maps (Eq. 1)."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # importing torch takes two seconds, and most users of this module do not need it
    from torch import Tensor


def class_activation_maps(features: "Tensor", weights: "Tensor") -> "Tensor":
    """Eq. 1: M_c(x, y) = Σ_k w_kc f_k(x, y).

    `features` (K, h, w) and `weights` (C, K), of one float dtype and device, give maps (C, h, w) float32 of either sign
    on that device. As in Eq. 1, the bias of the classifier is left out: it only adds a constant to each map.
    """
    return (weights @ features.flatten(1)).view(len(weights), *features.shape[1:]).float()


def scale_cam(cam: np.ndarray) -> np.ndarray:
    """Clip negative values and divide by the maximum: (H, W) of any sign -> (H, W) float32 in [0, 1].

    A map without a positive value becomes 0 everywhere.
    """
    positive = np.maximum(cam, 0).astype(np.float32)
    peak = float(positive.max())
    return positive / peak if peak > 0 else positive


def binary_cam(cam: np.ndarray, threshold: float) -> np.ndarray:
    """B_c of Eq. 2: 1 where M_c exceeds `threshold` (0.2 in the paper) times its maximum, else 0; (H, W) float32.

    `cam` (H, W) is M_c in [0, 1].
    """
    return (cam > threshold * cam.max()).astype(np.float32)
