"""Mean-field messages of higher-order terms over regions: P^n-Potts (Eq. 8) and robust P^n (Kohli et al. 2009).

A region s of N_s pixels costs γ_l if its pixels agree on label l, and up to γ_max if they do not:

- P^n-Potts (Eq. 8): γ_l if all take l, else γ_max.
- Robust P^n: N_s^θ min_l min( γ_l + (γ_max - γ_l) (N_s - n_l) / Q, γ_max ), where n_l pixels take l and
  Q = truncation · N_s. With Q <= N_s / 2 at most one label is below γ_max, and the minimum over labels becomes a sum:
  N_s^θ ( γ_max - Σ_l (γ_max - γ_l) (n_l - (N_s - Q))_+ / Q ).

The message to pixel i (Vineet, Warrell and Torr 2012, [46]) is the expected cost given its label. For both models,

    E[ψ_s | x_i = l] = C_i - gain_l(i)

where C_i does not depend on the label and cancels in the softmax, and

- P^n-Potts: gain_l(i) = (γ_max - γ_l) Π_{j≠i} Q_j(l), C_i = γ_max
- robust P^n: gain_l(i) = N_s^θ (γ_max - γ_l) slope_l(i) / Q, with the slope defined in `kernels`.

In a large region the product vanishes (0.99^1000 = 4e-5), so exact P^n-Potts has an effect only when nearly all pixels
are already certain. Robust P^n takes effect as soon as a label is expected to hold more than 1 - truncation of the
region; the exponent θ sets its strength in large regions. The public code of [46] does neither: in addition to the
product, it adds a bias of .00018 N_s times -log of the region's mean probability to each label.
"""

from typing import NamedTuple

import numpy as np

from tagseg.crf import kernels
from tagseg.crf.parameters import CrfParameters, HigherOrder


def region_costs(probabilities: np.ndarray, regions: np.ndarray, gamma_max: float) -> np.ndarray:
    """Eq. 8: γ_l = -log( Σ_{i∈s} P(x_i = l) / N_s ), clipped to [0, γ_max]: (R, L) float64, in nats.

    `probabilities` is (N, L) float32, `regions` (N,) int with labels 0..R-1. Rows of empty regions are γ_max.
    """
    sizes = np.bincount(regions)
    sums = np.zeros((sizes.size, probabilities.shape[1]))
    kernels.region_sums(probabilities, regions, sums)
    with np.errstate(divide="ignore"):
        costs = -np.log(sums / np.maximum(sizes, 1)[:, None])
    return np.clip(costs, 0.0, gamma_max)


class Gains(NamedTuple):
    """Gains of all pixels, stored for the active labels of each region only (see `kernels`)."""

    active: np.ndarray  # (R, A) int32
    counts: np.ndarray  # (R,) int64
    values: np.ndarray  # (N, A) float32


class RegionTerms:
    """The higher-order terms of one image.

    `regions` (N,) int holds each pixel's region from 0, not necessarily contiguous. `probabilities` (N, L) float32 is
    P of Eq. 8.
    """

    def __init__(self, model: HigherOrder, regions: np.ndarray, probabilities: np.ndarray, parameters: CrfParameters):
        if regions.max() >= regions.size:  # renumber: a row per label might not fit in memory
            regions = np.unique(regions, return_inverse=True)[1]
        self.model = model
        self.regions = np.ascontiguousarray(regions, dtype=np.int32)
        self.drops = parameters.gamma_max - region_costs(probabilities, self.regions, parameters.gamma_max)
        if model == "robust_pn":
            sizes = np.bincount(self.regions)
            truncation = np.maximum(parameters.truncation * sizes, 1e-30)  # Q; avoids 0 / 0 in empty regions
            self.drops *= (sizes**parameters.size_exponent)[:, None]
            self.drops /= truncation[:, None]
            self._onsets = sizes - truncation
            self._offsets = np.concatenate([[0], np.cumsum(sizes)])
            self._pixels = np.argsort(self.regions, kind="stable")

    def gains(self, marginals: np.ndarray) -> Gains:
        """gain_l(i) of all pixels, given `marginals` (N, L) float32."""
        if self.model == "pn_potts":
            return Gains(*kernels.pn_potts_gains(marginals, self.regions, self.drops))
        return Gains(
            *kernels.robust_pn_gains(marginals, self.regions, self._pixels, self._offsets, self._onsets, self.drops)
        )

    def add(self, gains: Gains, marginals: np.ndarray, weight: float) -> None:
        """Update `marginals` (N, L) float32 in place for energies reduced by `weight` times the gains."""
        kernels.add_gains(marginals, self.regions, gains.active, gains.counts, gains.values, weight)
