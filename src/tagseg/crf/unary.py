"""Energies of single pixels (Eq. 7)."""

import numpy as np


def softmax_unary(probabilities: np.ndarray, gain: float = 1.0) -> np.ndarray:
    """Eq. 7: -log( exp(g P_l) / Σ_m exp(g P_m) ), (L, H, W) in [0, 1] -> (L, H, W) float32 energies.

    The paper's g is 1; the energies of a pixel then span at most one nat, which the usual CRF weights drown.
    """
    scores = gain * probabilities.astype(np.float32)
    peak = scores.max(axis=0, keepdims=True)
    return peak + np.log(np.exp(scores - peak).sum(axis=0, keepdims=True)) - scores


def log_unary(scores: np.ndarray, gain: float = 1.0) -> np.ndarray:
    """Test time: -log softmax over labels of `gain` times a network's scores (L, H, W), float32 energies.

    A gain below 1 softens a network that is surer of itself than it should be; 1 takes it at its word.
    """
    return softmax_unary(scores, gain)
