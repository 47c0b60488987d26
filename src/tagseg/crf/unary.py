"""Unary energies of the dense CRF (Eq. 7)."""

import numpy as np


def softmax_unary(maps: np.ndarray, gain: float = 1.0) -> np.ndarray:
    """Eq. 7: -log( exp(g P_l) / Σ_m exp(g P_m) ), maps (L, H, W) -> energies (L, H, W) float32 in nats.

    `gain` is g, 1 in the paper. `maps` are a prior's probabilities P, or a network's scores before the softmax:

    - of probabilities, the energies of a pixel differ by at most g; with 1, by less than common pairwise weights;
    - of scores, the energies are -log softmax of g times the scores; g below 1 makes up for an overconfident network.
    """
    scores = gain * maps.astype(np.float32)
    peak = scores.max(axis=0, keepdims=True)
    return peak + np.log(np.exp(scores - peak).sum(axis=0, keepdims=True)) - scores
