"""Average maps per class: where its objects tend to be, according to CAMs and ground truth (Fig. 9)."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class AverageMaps:
    """Accumulates maps per class: `sums` (N, S, S) float64, and `images` (N,) int64, the number of maps of each class.

    N = `classes`, S = `side`. Maps of images of all sizes must be resized to S x S first.
    """

    classes: int
    side: int
    sums: np.ndarray = field(init=False)
    images: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.sums = np.zeros((self.classes, self.side, self.side))
        self.images = np.zeros(self.classes, dtype=np.int64)

    def update(self, label: int, values: np.ndarray) -> None:
        """Add the map (S, S) in [0, 1] of one image for class `label`. Raises ValueError for another shape."""
        if values.shape != (self.side, self.side):
            raise ValueError(f"the map is {values.shape}, not {(self.side, self.side)}")
        self.sums[label] += values
        self.images[label] += 1

    def mean(self) -> np.ndarray:
        """Average maps (N, S, S) float64 in [0, 1]; NaN for classes without images."""
        with np.errstate(invalid="ignore"):
            return self.sums / self.images[:, None, None]
