"""Dense CRF with Gaussian pairwise terms (Eqs. 6, 7; Krähenbühl and Koltun 2011, [45])."""

from dataclasses import dataclass

import numpy as np
import pydensecrf.densecrf as densecrf


@dataclass(frozen=True)
class CrfParameters:
    """Kernels and mean field. The paper gives no weights; `docs/results.md` says how the defaults were chosen.

    Widths are standard deviations: in pixels for position, in steps of 0..255 for colour.
    """

    iterations: int = 5
    gaussian_width: float = 3.0
    gaussian_weight: float = 3.0
    bilateral_width: float = 80.0
    bilateral_colour: float = 13.0
    bilateral_weight: float = 4.0


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


def dense_crf(image: np.ndarray, unary: np.ndarray, parameters: CrfParameters) -> np.ndarray:
    """Marginals (L, H, W) float32 after mean field, of `image` (H, W, 3) uint8 and `unary` (L, H, W) energies.

    Pairwise: Potts with a smoothness kernel (position) and an appearance kernel (position and colour).
    Raises ValueError if the sizes differ.
    """
    labels, height, width = unary.shape
    if image.shape != (height, width, 3):
        raise ValueError(f"image {image.shape} does not fit the unary {unary.shape}")
    if labels == 1:
        return np.ones_like(unary, dtype=np.float32)
    crf = densecrf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(np.array(unary.reshape(labels, -1), dtype=np.float32))
    crf.addPairwiseGaussian(sxy=parameters.gaussian_width, compat=parameters.gaussian_weight)
    crf.addPairwiseBilateral(
        sxy=parameters.bilateral_width,
        srgb=parameters.bilateral_colour,
        rgbim=np.array(image),  # the library wants a buffer that it could write to
        compat=parameters.bilateral_weight,
    )
    return np.asarray(crf.inference(parameters.iterations), dtype=np.float32).reshape(labels, height, width)
