"""The parameters of the dense CRF."""

import math
from dataclasses import dataclass
from typing import Literal

HigherOrder = Literal["pn_potts", "robust_pn"]


@dataclass(frozen=True)
class CrfParameters:
    """Kernels, mean field and region terms. Widths are standard deviations of Gaussians.

    The paper gives no weights. Those of the kernels are based on pydensecrf's example and the public code of [46], and
    were then tuned, as were those of the region terms (`docs/results.md`).

    Raises ValueError if a parameter of the mean field, the region terms or the size is out of range.
    """

    iterations: int = 5  # mean-field steps; [46]: 5
    gaussian_width: float = 3.0  # smoothness kernel, in pixels; pydensecrf's example and [46]: 3
    gaussian_weight: float = 3.0  # pydensecrf's example and [46]: 3
    bilateral_width: float = 80.0  # appearance kernel, in pixels; pydensecrf's example: 80, [46]: 50
    bilateral_colour: float = 13.0  # appearance kernel, in units of 0..255; pydensecrf's example: 13, [46]: 15
    bilateral_weight: float = 4.0  # pydensecrf's example: 10, [46]: 5

    # Stop when a step changes the marginals by at most this much, the mean over pixels of Σ_l |ΔQ_l| / 2.
    # 0 runs all steps, as in [45] and [46].
    tolerance: float = 0.0

    # Factor on the region terms; 1 as in Eq. 6. Results with 3 are similar.
    higher_order_weight: float = 1.0
    # The "maximum cost" of Eq. 8, in nats. The paper gives no value; the code of [46] computes one but does not use it.
    # -log(.01): a label with less than 1 % of a region's probability gains nothing. It must exceed log L, the cost of a
    # label in a uniform distribution, for Eq. 8 to distinguish labels.
    gamma_max: float = 4.6
    # Robust P^n: the fraction of a region that must disagree for its cost to reach γ_max. At most .5, so that at most
    # one label has a cost below γ_max; .25 was tuned (`docs/results.md`).
    truncation: float = 0.25
    # Robust P^n: the exponent θ of N_s^θ in the cost of a region of N_s pixels; .8 in Kohli et al. 2009.
    size_exponent: float = 0.8

    # Larger images are processed at this many pixels, which takes 1 GB with 21 labels. VOC and COCO are below 410,000.
    max_pixels: int = 1_000_000

    def __post_init__(self) -> None:
        if self.iterations < 0:
            raise ValueError(f"iterations is {self.iterations}: use 0 or more")
        if not 0 < self.truncation <= 0.5:
            raise ValueError(f"truncation is {self.truncation}: use a fraction above 0 and up to 0.5")
        for name in ("tolerance", "higher_order_weight", "gamma_max", "size_exponent"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}: use a finite number that is not negative")
        if self.max_pixels < 1:
            raise ValueError(f"max_pixels is {self.max_pixels}: use 1 or more")
