"""Accuracy beside object boundaries (Fig. 10): pixels in ever wider bands around the truth's boundaries."""

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import distance_transform_edt

from tagseg.evaluation.confusion import ConfusionMatrix
from tagseg.labels import IGNORE

WIDEST = 40  # pixels: the widest band of Fig. 10


def boundary_distance(truth: np.ndarray) -> np.ndarray:
    """Euclidean distance in pixels of each pixel to the nearest boundary pixel of a label map (H, W); float64.

    A boundary pixel has a neighbour above, below, left or right with another label, so that boundaries are two pixels
    wide and have distance 0. 255 is a label here: VOC's truth marks outlines with it, and what lies beside such a line
    lies beside an object's boundary. The image's border is none. Infinite where the map has one label throughout.
    """
    boundary = np.zeros(truth.shape, dtype=bool)
    across, along = truth[1:] != truth[:-1], truth[:, 1:] != truth[:, :-1]
    boundary[1:] |= across
    boundary[:-1] |= across
    boundary[:, 1:] |= along
    boundary[:, :-1] |= along
    if not boundary.any():
        return np.full(truth.shape, np.inf)
    return np.asarray(distance_transform_edt(~boundary))


@dataclass
class Trimap:
    """Counts (W, N, N) int64 by ring: ring k holds the pixels whose distance to the boundary is in [k, k + 1).

    The band of width w is the first w rings: w pixels on each side of a boundary. Pixels of truth 255 are left out.
    """

    classes: int
    widest: int = WIDEST
    counts: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros((self.widest, self.classes, self.classes), dtype=np.int64)

    def update(self, truth: np.ndarray, distance: np.ndarray, predicted: np.ndarray) -> None:
        """Add one image: label maps (H, W) and `boundary_distance` of the truth, which several predictions share.

        Raises ValueError for differing sizes or a label outside the classes.
        """
        if not truth.shape == distance.shape == predicted.shape:
            raise ValueError(f"truth is {truth.shape}, its distance {distance.shape}, prediction {predicted.shape}")
        kept = (truth != IGNORE) & (distance < self.widest)
        rings, true, given = distance[kept].astype(np.int64), truth[kept].astype(np.int64), predicted[kept]
        for name, labels in (("truth", true), ("prediction", given)):
            if labels.size and labels.max() >= self.classes:
                raise ValueError(f"{name} holds label {labels.max()}, but there are {self.classes} classes")
        places = (rings * self.classes + true) * self.classes + given
        self.counts += np.bincount(places, minlength=self.counts.size).reshape(self.counts.shape)

    def bands(self) -> list[ConfusionMatrix]:
        """The confusion matrix within each band, of width 1 to the widest."""
        return [ConfusionMatrix(self.classes, counts) for counts in self.counts.cumsum(axis=0)]
