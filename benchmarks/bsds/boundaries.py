"""Evaluation of boundaries against human annotations: the ODS, OIS and average precision of the BSDS500 benchmark."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage import morphology

from matching import match, near_pairs

MAX_DISTANCE = 0.0075  # between matched pixels, as a fraction of the image diagonal


def thresholds(count: int = 99) -> NDArray[np.float64]:
    """Thresholds k / (count + 1), k = 1..count: (count,) float64, evenly spaced strictly between 0 and 1.

    Computed with linspace as in evaluation_bdry_image.m, since rounding matters for grey values equal to a threshold.
    """
    return np.linspace(1 / (count + 1), 1 - 1 / (count + 1), count)


def thin(boundary: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Thin a boundary map (H, W) bool to lines one pixel wide, as `bwmorph(map, 'thin', inf)` does."""
    return np.asarray(morphology.thin(boundary), dtype=bool)


def boundary_counts(
    contours: NDArray[np.floating],
    annotations: Sequence[NDArray[np.bool_]],
    levels: NDArray[np.float64],
    max_distance: float = MAX_DISTANCE,
) -> NDArray[np.int64]:
    """Counts (T, 4) of one image at each of the thresholds `levels` (T,), as in evaluation_bdry_image.m.

    `contours` (H, W) in [0, 1] is boundary strength. Its pixels ≥ threshold, thinned, are matched with the boundary
    (H, W) of each annotation in turn, up to a distance of `max_distance` times the diagonal. Columns: matched true
    pixels and true pixels (both summed over annotations), predicted pixels matched to any annotation, and predicted
    pixels. Raises ValueError if sizes differ, there is no annotation, or a value is outside [0, 1].
    """
    values = np.asarray(contours, dtype=np.float64)
    if not annotations:
        raise ValueError("no annotation to compare with")
    for annotation in annotations:
        if annotation.shape != values.shape:
            raise ValueError(f"the annotation is {annotation.shape}, the contour map {values.shape}")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("the contour map has values outside [0, 1]")
    distance = max_distance * float(np.hypot(*values.shape))
    truths = [(int(np.count_nonzero(a)), near_pairs(a.astype(bool), distance)) for a in annotations]
    total = sum(number for number, _ in truths)
    # thresholds without a value in between give equal maps, which are evaluated once
    below = np.searchsorted(np.sort(values, axis=None), levels)
    _, first, which = np.unique(below, return_index=True, return_inverse=True)
    counts = np.zeros((len(first), 4), dtype=np.int64)
    for row, level in zip(counts, np.asarray(levels)[first], strict=True):
        predicted = thin(values >= level)
        any_match = np.zeros_like(predicted)
        matched_true = 0
        for number, pairs in truths:
            found, matches = match(predicted, number, pairs)
            any_match |= found
            matched_true += matches
        row[:] = matched_true, total, np.count_nonzero(any_match), np.count_nonzero(predicted)
    return counts[which]


@dataclass(frozen=True)
class OperatingPoint:
    """Recall, precision and F, in [0, 1], at a threshold (NaN if each image has its own)."""

    threshold: float
    recall: float
    precision: float
    f: float


@dataclass(frozen=True)
class BoundaryScores:
    """Scores of a data set: at one best threshold (ODS), at each image's best (OIS), and average precision."""

    ods: OperatingPoint
    ois: OperatingPoint
    ap: float


def precision_recall(counts: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall (...) of counts (..., 4); 0 where there are no pixels."""
    matched_true, true, matched, predicted = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
    return matched / np.maximum(predicted, 1), matched_true / np.maximum(true, 1)


def f_measure(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    """Harmonic mean of precision and recall; 0 where both are 0: fmeasure in collect_eval_bdry.m."""
    total = precision + recall
    return 2 * precision * recall / np.where(total == 0, 1, total)


def best_point(levels: NDArray[np.float64], counts: NDArray[np.int64]) -> OperatingPoint:
    """The point with the largest F of counts (T, 4), also between thresholds: maxF in collect_eval_bdry.m.

    Threshold, precision and recall are interpolated linearly in 100 steps between neighbours; the first maximum counts.
    """
    part = np.linspace(0, 1, 100)
    curves = [np.asarray(levels, dtype=np.float64), *precision_recall(counts)]
    if len(levels) > 1:
        curves = [(c[1:, None] * part + c[:-1, None] * (1 - part)).ravel() for c in curves]
    f = f_measure(curves[1], curves[2])
    best = int(np.argmax(f))
    threshold, precision, recall = (float(c[best]) for c in curves)
    return OperatingPoint(threshold, recall, precision, float(f[best]))


def average_precision(counts: NDArray[np.int64]) -> float:
    """Area under the precision-recall curve of counts (T, 4), as in collect_eval_bdry.m.

    Precision is interpolated linearly over the distinct recalls and summed at recall 0, .01, ..., 1; it is 0 outside
    the curve. Among thresholds with equal recall the lowest counts, as in `unique` of current Matlab versions.
    """
    precision, recall = precision_recall(counts)
    distinct, first = np.unique(recall, return_index=True)
    if len(distinct) < 2:
        return 0.0
    return float(np.interp(np.arange(101) / 100, distinct, precision[first], left=0, right=0).sum() / 100)


def boundary_scores(levels: NDArray[np.float64], counts: NDArray[np.int64]) -> BoundaryScores:
    """ODS, OIS and AP of the counts (N, T, 4) of N images, as in collect_eval_bdry.m.

    OIS sums the counts of each image at its own best threshold, without interpolation.
    """
    counts = np.asarray(counts)
    total = counts.sum(axis=0)
    own = counts[np.arange(len(counts)), np.argmax(f_measure(*precision_recall(counts)), axis=1)].sum(axis=0)
    precision, recall = precision_recall(own)
    ois = OperatingPoint(float("nan"), float(recall), float(precision), float(f_measure(precision, recall)))
    return BoundaryScores(best_point(levels, total), ois, average_precision(total))
