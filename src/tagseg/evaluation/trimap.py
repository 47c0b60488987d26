"""Accuracy near object boundaries (Fig. 10), in bands of increasing width around the true boundaries."""

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import distance_transform_edt

from tagseg.evaluation.confusion import ConfusionMatrix, require_labels
from tagseg.images.palette import IGNORE

WIDEST = 40  # width of the widest band of Fig. 10, in pixels


def boundary_distance(truth: np.ndarray) -> np.ndarray:
    """Distance in pixels to the nearest boundary of a label map (H, W): (H, W) float64; inf if there is no boundary.

    Boundary pixels have a 4-neighbour with another label, so boundaries are two pixels wide, with distance 0. 255
    counts as a label: VOC marks object outlines with it, so pixels next to it are near an object boundary. The image
    border is not a boundary.
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
    """Confusion counts (W, N, N) int64 per ring; ring k has the pixels at a distance in [k, k + 1) to a true boundary.

    W = `widest`, N = `classes`. The band of width w consists of the first w rings: w pixels on each side of a boundary.
    Pixels with true label 255 are ignored.
    """

    classes: int
    widest: int = WIDEST
    counts: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros((self.widest, self.classes, self.classes), dtype=np.int64)

    def update(self, truth: np.ndarray, distance: np.ndarray, predicted: np.ndarray) -> None:
        """Add one image: label maps (H, W) as in `ConfusionMatrix.update`, and `distance`, `boundary_distance(truth)`.

        The distance is an argument because it can be shared by several predictions. Raises ValueError if shapes differ
        or a label is out of range.
        """
        if not truth.shape == distance.shape == predicted.shape:
            raise ValueError(f"truth is {truth.shape}, its distance {distance.shape}, prediction {predicted.shape}")
        kept = (truth != IGNORE) & (distance < self.widest)
        rings, true, given = distance[kept].astype(np.int64), truth[kept].astype(np.int64), predicted[kept]
        require_labels(true, given, self.classes)
        cells = (rings * self.classes + true) * self.classes + given
        self.counts += np.bincount(cells, minlength=self.counts.size).reshape(self.counts.shape)

    def bands(self) -> list[ConfusionMatrix]:
        """The confusion matrix of each band, for widths 1 to `widest`."""
        return [ConfusionMatrix(self.classes, counts) for counts in self.counts.cumsum(axis=0)]
