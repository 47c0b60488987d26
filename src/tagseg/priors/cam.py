"""Class activation maps (Eq. 1)."""

import numpy as np


def class_activation_maps(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Eq. 1: M_c(x, y) = Σ_k w_kc f_k(x, y).

    `features` (K, h, w) and `weights` (C, K) give (C, h, w) float32, of any sign. A bias is left out, as in Eq. 1:
    it moves a map by a constant.
    """
    return np.einsum("ck,khw->chw", weights, features, optimize=True).astype(np.float32)


def scale_cam(cam: np.ndarray) -> np.ndarray:
    """Negative values clipped, then the maximum to 1: (H, W) in [0, 1]. A map without a positive value becomes 0."""
    positive = np.maximum(cam, 0).astype(np.float32)
    peak = float(positive.max())
    return positive / peak if peak > 0 else positive


def binary_cam(cam: np.ndarray, threshold: float) -> np.ndarray:
    """B_c: 1 where M_c exceeds `threshold` (the paper: .2) times its maximum; (H, W) float32 of 0 and 1."""
    return (cam > threshold * cam.max()).astype(np.float32)
