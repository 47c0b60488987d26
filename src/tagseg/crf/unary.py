"""Unary energies of the dense CRF (Eq. 7)."""

import numpy as np


def softmax_unary(probabilities: np.ndarray, gain: float = 1.0) -> np.ndarray:
    """Eq. 7: -log( exp(g P_l) / Σ_m exp(g P_m) ), probabilities (L, H, W) -> energies (L, H, W) float32 in nats.

    `gain` is g, 1 in the paper: the energies of a pixel then differ by at most 1, less than common pairwise weights.
    """
    scores = gain * probabilities.astype(np.float32)
    peak = scores.max(axis=0, keepdims=True)
    return peak + np.log(np.exp(scores - peak).sum(axis=0, keepdims=True)) - scores


def log_unary(scores: np.ndarray, gain: float = 1.0) -> np.ndarray:
    """-log softmax of `gain` times a network's scores: (L, H, W) -> energies (L, H, W) float32 in nats.

    A gain below 1 compensates for an overconfident network.
    """
    return softmax_unary(scores, gain)
