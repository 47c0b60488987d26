"""Confusion matrix and the figures of merit read from it (the paper's 4.3)."""

from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np

from tagseg.labels import IGNORE

Protocol = Literal["classes", "foreground"]


def any_foreground(labels: np.ndarray) -> np.ndarray:
    """Label map (H, W) uint8 with every class counted as 1 (Table 4); 255 stays."""
    return np.where(labels == IGNORE, labels, labels.clip(max=1))


@dataclass
class ConfusionMatrix:
    """Counts (N, N) int64: rows are true labels, columns predicted ones. Pixels of truth 255 are left out."""

    classes: int
    counts: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))

    def __post_init__(self) -> None:
        if self.counts.size == 0:
            self.counts = np.zeros((self.classes, self.classes), dtype=np.int64)

    def update(self, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Add the pixels of one image. Raises ValueError for differing sizes or a label outside the classes."""
        if truth.shape != predicted.shape:
            raise ValueError(f"truth is {truth.shape}, prediction {predicted.shape}")
        kept = truth != IGNORE
        pairs = truth[kept].astype(np.int64), predicted[kept].astype(np.int64)
        for name, labels in zip(("truth", "prediction"), pairs, strict=True):
            if labels.size and labels.max() >= self.classes:
                raise ValueError(f"{name} holds label {labels.max()}, but there are {self.classes} classes")
        flat = np.bincount(pairs[0] * self.classes + pairs[1], minlength=self.classes**2)
        self.counts += flat.reshape(self.classes, self.classes)

    def __iadd__(self, other: "ConfusionMatrix") -> Self:
        """Add the counts of other images: pieces of a split give the matrix of the whole.

        Raises ValueError if the other counts another number of classes.
        """
        if other.classes != self.classes:
            raise ValueError(f"{other.classes} classes cannot be added to {self.classes}")
        self.counts += other.counts
        return self

    def absent(self) -> np.ndarray:
        """Which classes neither truth nor prediction has, (N,) bool: no IoU, and left out of its mean."""
        return (self.counts.sum(axis=0) + self.counts.sum(axis=1)) == 0

    def iou(self) -> np.ndarray:
        """Intersection over union of each class in [0, 1], (N,) float64; NaN where truth and prediction lack it."""
        hits = np.diag(self.counts).astype(np.float64)
        return _ratio(hits, self.counts.sum(axis=0) + self.counts.sum(axis=1) - hits)

    def mean_iou(self) -> float:
        """Mean IoU over the classes that truth or prediction has; NaN if there is none."""
        return _mean(self.iou())

    def pixel_accuracy(self) -> float:
        """Share of pixels labelled right; NaN without pixels."""
        total = self.counts.sum()
        return float(np.trace(self.counts) / total) if total else float("nan")

    def accuracy(self) -> np.ndarray:
        """Share of each class's true pixels labelled right, (N,) float64 in [0, 1]; NaN where the truth lacks it."""
        return _ratio(np.diag(self.counts), self.counts.sum(axis=1))

    def mean_accuracy(self) -> float:
        """Mean over the classes of the truth of the share of their pixels labelled right; NaN without pixels."""
        return _mean(self.accuracy())

    def frequency_weighted_iou(self) -> float:
        """IoU of the classes of the truth, each weighted by its share of the true pixels; NaN without pixels."""
        frequency = self.counts.sum(axis=1)
        total = frequency.sum()
        return float(np.nansum(frequency * self.iou()) / total) if total else float("nan")

    def row_normalised(self) -> np.ndarray:
        """Where the pixels of each true class went (Fig. 11): (N, N) float64, rows sum to 1, or NaN without pixels."""
        return _ratio(self.counts, np.repeat(self.counts.sum(axis=1)[:, None], self.classes, axis=1))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, float64 of their shape; NaN where whole is 0."""
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _mean(values: np.ndarray) -> float:
    """Mean of those that are not NaN; NaN if all are."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
