"""What can be set of the dense CRF."""

import math
from dataclasses import dataclass
from typing import Literal

HigherOrder = Literal["pn_potts", "robust_pn"]


@dataclass(frozen=True)
class CrfParameters:
    """Kernels, mean field and region terms. Widths are standard deviations.

    The paper gives no weights. Those of the kernels start from pydensecrf's example and the public code of [46] and
    were then measured, like those of the region terms (`docs/results.md`).

    Raises ValueError if a number of the mean field, the region terms or the size is out of its range.
    """

    iterations: int = 5  # mean-field steps; [46]: 5
    gaussian_width: float = 3.0  # smoothness kernel, pixels; pydensecrf's example and [46]: 3
    gaussian_weight: float = 3.0  # pydensecrf's example and [46]: 3
    bilateral_width: float = 80.0  # appearance kernel, pixels; pydensecrf's example: 80, [46]: 50
    bilateral_colour: float = 13.0  # appearance kernel, steps of 0..255; pydensecrf's example: 13, [46]: 15
    bilateral_weight: float = 4.0  # pydensecrf's example: 10, [46]: 5

    # Stop once a step moves no more than this share of the probability, the mean over pixels of Σ_l |ΔQ_l| / 2.
    # 0 makes every step, as [45] and [46] do.
    tolerance: float = 0.0

    # Factor on the region terms. Eq. 6 has none, so 1; 3 measures alike.
    higher_order_weight: float = 1.0
    # The "maximum cost" of Eq. 8, in nats. The paper gives none; the code of [46] works one out and does not use it.
    # -log(.01): a label that holds less than a hundredth of a region gains nothing from its agreement. It must lie
    # above log L, the cost of a label that is no likelier than the others, or Eq. 8 cannot tell labels apart.
    gamma_max: float = 4.6
    # Robust P^n: the share of a region that may disagree before its cost is γ_max. Up to .5, where at most one label
    # lies below γ_max; .25 by measuring (`docs/results.md`).
    truncation: float = 0.25
    # Robust P^n: costs grow as N_s^θ. With 0 a pixel's part in them goes as 1 / N_s; Kohli et al. 2009 have .8.
    size_exponent: float = 0.8

    # A larger image is smoothed at this many pixels, which takes 1 GB with 21 labels. VOC and COCO stay below 410,000.
    max_pixels: int = 1_000_000

    def __post_init__(self) -> None:
        if self.iterations < 0:
            raise ValueError(f"iterations is {self.iterations}: use 0 or more")
        if not 0 < self.truncation <= 0.5:
            raise ValueError(f"truncation is {self.truncation}: use a share above 0 and up to 0.5")
        for name in ("tolerance", "higher_order_weight", "gamma_max", "size_exponent"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}: use a finite number that is not negative")
        if self.max_pixels < 1:
            raise ValueError(f"max_pixels is {self.max_pixels}: use 1 or more")
