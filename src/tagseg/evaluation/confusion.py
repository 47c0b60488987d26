"""Confusion matrix and the metrics computed from it (Sec. 4.3)."""

from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np

from tagseg.images.palette import IGNORE

Protocol = Literal["classes", "foreground"]


def any_foreground(labels: np.ndarray) -> np.ndarray:
    """Merge all classes of a label map (H, W) uint8 into 1 (Table 4); 0 and 255 are kept."""
    return np.where(labels == IGNORE, labels, labels.clip(max=1))


def require_labels(truth: np.ndarray, predicted: np.ndarray, classes: int) -> None:
    """Raise ValueError if one of the labels that count, arrays of any shape, is not below `classes`."""
    for name, labels in (("truth", truth), ("prediction", predicted)):
        if labels.size and labels.max() >= classes:
            raise ValueError(f"{name} holds label {labels.max()}, but there are {classes} classes")


@dataclass
class ConfusionMatrix:
    """Pixel counts (N, N) int64: rows are true, columns predicted labels; pixels with true label 255 are ignored."""

    classes: int
    counts: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))

    def __post_init__(self) -> None:
        if self.counts.size == 0:
            self.counts = np.zeros((self.classes, self.classes), dtype=np.int64)

    def update(self, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Add the pixels of one image: label maps (H, W) of an unsigned integer type, labels 0..N-1.

        `truth` may also hold 255. Raises ValueError if shapes differ or another label is out of range.
        """
        if truth.shape != predicted.shape:
            raise ValueError(f"truth is {truth.shape}, prediction {predicted.shape}")
        kept = truth != IGNORE
        pairs = truth[kept].astype(np.int64), predicted[kept].astype(np.int64)
        require_labels(*pairs, self.classes)
        flat = np.bincount(pairs[0] * self.classes + pairs[1], minlength=self.classes**2)
        self.counts += flat.reshape(self.classes, self.classes)

    def __iadd__(self, other: "ConfusionMatrix") -> Self:
        """Add the counts of other images: the sum over the shards of a split is the matrix of the split.

        Raises ValueError if the number of classes differs.
        """
        if other.classes != self.classes:
            raise ValueError(f"{other.classes} classes cannot be added to {self.classes}")
        self.counts += other.counts
        return self

    def absent(self) -> np.ndarray:
        """Classes without a pixel in truth and prediction, (N,) bool: their IoU is undefined and not in the mean."""
        return (self.counts.sum(axis=0) + self.counts.sum(axis=1)) == 0

    def iou(self) -> np.ndarray:
        """Intersection over union of each class, (N,) float64 in [0, 1]; NaN for `absent` classes."""
        hits = np.diag(self.counts).astype(np.float64)
        return _ratio(hits, self.counts.sum(axis=0) + self.counts.sum(axis=1) - hits)

    def mean_iou(self) -> float:
        """Mean IoU over classes that are not `absent`, in [0, 1]; NaN without pixels."""
        return _mean(self.iou())

    def pixel_accuracy(self) -> float:
        """Fraction of pixels with the correct label, in [0, 1]; NaN without pixels."""
        total = self.counts.sum()
        return float(np.trace(self.counts) / total) if total else float("nan")

    def accuracy(self) -> np.ndarray:
        """Fraction of each class's true pixels with the correct label, (N,) float64 in [0, 1]; NaN if it has none."""
        return _ratio(np.diag(self.counts), self.counts.sum(axis=1))

    def mean_accuracy(self) -> float:
        """Mean of `accuracy` over the classes in the truth, in [0, 1]; NaN without pixels."""
        return _mean(self.accuracy())

    def frequency_weighted_iou(self) -> float:
        """Mean IoU weighted by the fraction of true pixels of each class, in [0, 1]; NaN without pixels."""
        frequency = self.counts.sum(axis=1)
        total = frequency.sum()
        return float(np.nansum(frequency * self.iou()) / total) if total else float("nan")

    def row_normalised(self) -> np.ndarray:
        """The matrix with rows normalised to sum to 1 (Fig. 11): (N, N) float64; NaN for rows without pixels."""
        return _ratio(self.counts, np.repeat(self.counts.sum(axis=1)[:, None], self.classes, axis=1))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, elementwise, float64; NaN where `whole` is 0."""
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _mean(values: np.ndarray) -> float:
    """Mean of the values that are not NaN; NaN if all are."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
