"""Confusion matrix and the figures read from it."""

from dataclasses import dataclass, field
from typing import Literal

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

    def iou(self) -> np.ndarray:
        """Intersection over union of each class in [0, 1], (N,) float64; NaN where truth and prediction lack it."""
        hits = np.diag(self.counts).astype(np.float64)
        union = self.counts.sum(axis=0) + self.counts.sum(axis=1) - hits
        return np.divide(hits, union, out=np.full(self.classes, np.nan), where=union > 0)

    def mean_iou(self) -> float:
        """Mean IoU over the classes that truth or prediction has; NaN if there is none."""
        values = self.iou()
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

    def pixel_accuracy(self) -> float:
        """Share of pixels labelled right; NaN without pixels."""
        total = self.counts.sum()
        return float(np.trace(self.counts) / total) if total else float("nan")
