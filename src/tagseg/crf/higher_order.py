"""Higher-order terms over regions: P^n-Potts (Eq. 8) and robust P^n (Kohli, Ladický and Torr 2009), in mean field.

A region s of N_s pixels costs γ_l where its pixels agree on label l, and up to γ_max where they do not:

- P^n-Potts (Eq. 8): γ_l if all take l, else γ_max.
- Robust P^n: N_s^θ min_l min( γ_l + (γ_max - γ_l) (N_s - n_l) / Q, γ_max ), n_l the number of pixels that take l and
  Q = truncation · N_s. With Q <= N_s / 2 only one label can lie below γ_max, and the minimum over labels is a sum:
  N_s^θ ( γ_max - Σ_l (γ_max - γ_l) (n_l - (N_s - Q))_+ / Q ).

The message to pixel i (Vineet, Warrell and Torr 2012, [46]) is the expected cost given its label. For both models

    E[ψ_s | x_i = l] = C_i - gain_l(i)

where C_i is the same for every label, so that it cancels in the softmax, and

- P^n-Potts: gain_l(i) = (γ_max - γ_l) Π_{j≠i} Q_j(l), C_i = γ_max
- robust P^n: gain_l(i) = N_s^θ (γ_max - γ_l) slope_l(i) / Q, the slope as in `kernels`.

What that means in a large region: the product vanishes (1,000 pixels of .99 make 4e-5), so exact P^n-Potts tells a
pixel something only once all others are all but certain, and then they hardly need it. Robust P^n speaks as soon as a
label is expected to hold more than 1 - truncation of the region; the size exponent says how loudly in a large one. The
public code of [46] does neither: beside the product it gives each label a bias, .00018 N_s times -log of the region's
mean probability.
"""

from typing import NamedTuple

import numpy as np

from tagseg.crf import kernels
from tagseg.crf.parameters import CrfParameters, HigherOrder


def region_costs(probabilities: np.ndarray, regions: np.ndarray, gamma_max: float) -> np.ndarray:
    """Eq. 8: γ_l = -log( Σ_{i∈s} P(x_i = l) / N_s ), at most γ_max, which also stands for a label of probability zero.

    `probabilities` (N, L), `regions` (N,) numbers 0..R-1 -> (R, L) float64; γ_max in the rows of empty regions.
    """
    sizes = np.bincount(regions)
    sums = np.zeros((sizes.size, probabilities.shape[1]))
    kernels.region_sums(probabilities, regions, sums)
    with np.errstate(divide="ignore"):
        costs = -np.log(sums / np.maximum(sizes, 1)[:, None])
    return np.clip(costs, 0.0, gamma_max)


class Gains(NamedTuple):
    """Gains of all pixels, for those labels of each region that have any: as in `kernels`."""

    active: np.ndarray
    counts: np.ndarray
    values: np.ndarray

    def dense(self, regions: np.ndarray, labels: int) -> np.ndarray:
        """(L, N) float64, for `regions` (N,)."""
        full = np.zeros((labels, len(regions)))
        for a in range(self.values.shape[1]):
            inside = np.flatnonzero(a < self.counts[regions])
            full[self.active[regions[inside], a], inside] = self.values[inside, a]
        return full


class RegionTerms:
    """The higher-order terms of one image.

    `regions` (N,) holds each pixel's region, 0..R-1 (not every number need occur); `probabilities` (N, L) float32 are
    those that the unary alone gives, the P of Eq. 8.
    """

    def __init__(self, model: HigherOrder, regions: np.ndarray, probabilities: np.ndarray, parameters: CrfParameters):
        if regions.max() >= regions.size:  # a row of sums for every number would not fit
            regions = np.unique(regions, return_inverse=True)[1]
        self.model = model
        self.gamma_max = parameters.gamma_max
        self.regions = np.ascontiguousarray(regions, dtype=np.int32)
        self.sizes = np.bincount(self.regions)
        self.scale = self.sizes**parameters.size_exponent if model == "robust_pn" else np.ones(self.sizes.size)
        costs = region_costs(probabilities, self.regions, parameters.gamma_max)
        self.drops = self.scale[:, None] * (parameters.gamma_max - costs)
        if model == "robust_pn":
            truncation = np.maximum(parameters.truncation * self.sizes, 1e-30)  # Q; an empty region has none
            self.drops /= truncation[:, None]
            self._begins = self.sizes - truncation
        self._offsets = np.concatenate([[0], np.cumsum(self.sizes)])
        self._pixels = np.argsort(self.regions, kind="stable")

    def gains(self, marginals: np.ndarray) -> Gains:
        """gain_l(i) at the `marginals` (N, L) float32."""
        if self.model == "pn_potts":
            return Gains(*kernels.pn_potts_gains(marginals, self.regions, self.drops))
        return Gains(
            *kernels.robust_pn_gains(marginals, self.regions, self._pixels, self._offsets, self._begins, self.drops)
        )

    def add(self, gains: Gains, marginals: np.ndarray, weight: float = 1.0) -> None:
        """Turn `marginals` (N, L) float32, in place, into those of energies lower by `weight` times the gains."""
        kernels.add_gains(marginals, self.regions, gains.active, gains.counts, gains.values, weight)

    def messages(self, marginals: np.ndarray) -> np.ndarray:
        """E[ψ_s | x_i = l] in full, C_i and all, at the `marginals` (N, L): (L, N) float64.

        For looking at and for tests: mean field needs the gains alone, and C_i of robust P^n takes N_s² steps.
        """
        marginals = np.ascontiguousarray(marginals, dtype=np.float32)
        gains = self.gains(marginals).dense(self.regions, marginals.shape[1])
        constant = (self.gamma_max * self.scale)[self.regions]
        if self.model == "robust_pn":
            # what agreement the others reach without pixel i: E[(n' - t)_+] = E[(n - t)_+] - q slope
            excess = np.zeros(self.drops.shape)
            for r, label in np.ndindex(*excess.shape):
                own = marginals[self._pixels[self._offsets[r] : self._offsets[r + 1]], label]
                excess[r, label] = _expected_excess(own.astype(np.float64), self._begins[r])
            constant = constant - (self.drops * excess).sum(axis=1)[self.regions] + (marginals.T * gains).sum(axis=0)
        return constant - gains


def _expected_excess(q: np.ndarray, begins: float) -> float:
    """E[(n - t)_+], t = `begins`, for the number n of pixels that take a label, each with its `q` (N,)."""
    mass = np.ones(1)
    for p in q:
        mass = np.convolve(mass, [1 - p, p])
    return float(mass @ np.maximum(np.arange(mass.size) - begins, 0.0))
