"""Average maps by class: where a class tends to be, as localization sees it and in truth (Fig. 9)."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class AverageMaps:
    """Sums (N, S, S) float64 of maps by class, and how many maps each class has had, (N,) int64.

    Images of all sizes meet on a square of S x S: their maps are resized to it before they come here.
    """

    classes: int
    side: int
    sums: np.ndarray = field(init=False)
    images: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.sums = np.zeros((self.classes, self.side, self.side))
        self.images = np.zeros(self.classes, dtype=np.int64)

    def update(self, label: int, values: np.ndarray) -> None:
        """Add the map (S, S) in [0, 1] of one image for one of its classes. Raises ValueError for another size."""
        if values.shape != (self.side, self.side):
            raise ValueError(f"the map is {values.shape}, not {(self.side, self.side)}")
        self.sums[label] += values
        self.images[label] += 1

    def mean(self) -> np.ndarray:
        """Average maps (N, S, S) float64 in [0, 1]; NaN for a class without an image."""
        with np.errstate(invalid="ignore"):
            return self.sums / self.images[:, None, None]
