"""Evaluation of regions: covering, Rand index and variation of information of the BSDS500 benchmark."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Labels = NDArray[np.integer]


@dataclass(frozen=True)
class RegionCounts:
    """Statistics of one image's regions at T thresholds, compared with all annotations.

    `covered` (T,) sums the areas of the true regions in pixels, each times its largest intersection over union with a
    region of the segmentation; `best` is the same with the largest over all thresholds; `area` is the total area of the
    true regions. `rand` (T,) in [0, 1] and `variation` (T,) in bits are means over annotations.
    """

    covered: NDArray[np.float64]
    best: float
    area: int
    rand: NDArray[np.float64]
    variation: NDArray[np.float64]

    @property
    def covering(self) -> NDArray[np.float64]:
        """Covering (T,) of this image, in [0, 1]."""
        return self.covered / self.area


@dataclass(frozen=True)
class RegionScores:
    """Scores of a data set: at one best threshold (`ods`), and at each image's best threshold (`ois`).

    `covering_best` uses the best threshold for every true region. For variation of information, lower is better.
    """

    covering_threshold: float
    covering_ods: float
    covering_ois: float
    covering_best: float
    rand_ods: float
    rand_ois: float
    variation_ods: float
    variation_ois: float


def components(contours: NDArray[np.floating], level: float) -> NDArray[np.int32]:
    """Regions (H, W), labels from 1, of a contour map (H, W) without a hierarchy: components of pixels ≤ `level`.

    Components are 4-connected, so that a diagonal line one pixel wide separates them. Pixels above `level` are assigned
    to the nearest region; if all are, the image is one region.
    """
    inside = np.asarray(contours, dtype=np.float64) <= level
    labels, found = ndimage.label(inside)
    if not found:
        return np.ones(inside.shape, dtype=np.int32)
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    return np.asarray(labels[tuple(nearest)], dtype=np.int32)


def region_counts(segmentations: Iterable[Labels], annotations: Sequence[Labels]) -> RegionCounts:
    """Compare an image's label maps (H, W) at T thresholds with its annotations, as in evaluation_reg_image.m.

    `segmentations` are in the order of the thresholds; `annotations` are label maps (H, W), too. Every label, including
    0, is a region. Raises ValueError if sizes differ or there is no annotation.
    """
    if not annotations:
        raise ValueError("no annotation to compare with")
    truths = [_numbered(truth) for truth in annotations]
    areas = [np.bincount(truth) for truth in truths]
    best = [np.zeros(len(area)) for area in areas]
    rows: list[tuple[float, float, float]] = []
    before = None
    for labels in segmentations:
        for truth in annotations:
            if truth.shape != labels.shape:
                raise ValueError(f"the annotation is {truth.shape}, the label map {labels.shape}")
        # consecutive high thresholds often give the same regions
        if before is not None and np.array_equal(labels, before):
            rows.append(rows[-1])
            continue
        before = labels
        found = _numbered(labels)
        count = int(found.max()) + 1
        covered = rand = variation = 0.0
        for truth, area, largest in zip(truths, areas, best, strict=True):
            joint = np.bincount(truth * count + found, minlength=len(area) * count).reshape(len(area), count)
            overlap = _largest_overlap(joint)
            np.maximum(largest, overlap, out=largest)
            covered += float(area @ overlap)
            rand += rand_index(joint) / len(truths)
            variation += variation_of_information(joint) / len(truths)
        rows.append((covered, rand, variation))
    columns = np.array(rows)
    best_covered = float(sum(area @ largest for area, largest in zip(areas, best, strict=True)))
    return RegionCounts(columns[:, 0], best_covered, sum(truth.size for truth in truths), columns[:, 1], columns[:, 2])


def _numbered(labels: Labels) -> NDArray[np.int64]:
    """Flatten a label map and renumber its labels contiguously from 0."""
    return np.unique(labels, return_inverse=True)[1].ravel()


def _largest_overlap(joint: NDArray[np.int64]) -> NDArray[np.float64]:
    """Largest IoU of each true region, from the joint histogram (true, found): match_segmentations.m."""
    union = joint.sum(axis=1, keepdims=True) + joint.sum(axis=0, keepdims=True) - joint
    return np.asarray((joint / union).max(axis=1))


def rand_index(joint: NDArray[np.int64]) -> float:
    """Fraction of pixel pairs on which two labelings agree, from their joint histogram: match_segmentations2.m."""
    counts = joint.astype(np.float64)
    pixels = counts.sum()
    apart = (counts.sum(axis=1) ** 2).sum() / 2 + (counts.sum(axis=0) ** 2).sum() / 2 - (counts**2).sum()
    return float(1 - apart / (pixels * (pixels - 1) / 2)) if pixels > 1 else 1.0


def variation_of_information(joint: NDArray[np.int64]) -> float:
    """H(A | B) + H(B | A) of two labelings in bits, from their joint histogram: match_segmentations2.m."""
    p = joint / joint.sum()
    return 2 * _entropy(p) - _entropy(p.sum(axis=0)) - _entropy(p.sum(axis=1))


def _entropy(p: NDArray[np.float64]) -> float:
    kept = p[p > 0]
    return float(-(kept * np.log2(kept)).sum())


def region_scores(levels: NDArray[np.float64], counts: Sequence[RegionCounts]) -> RegionScores:
    """Scores over images, given the thresholds `levels` (T,), as in collect_eval_reg.m.

    Covering sums areas before dividing, so images with more annotations have more weight. The others are means over
    images.
    """
    area = sum(c.area for c in counts)
    covering = np.sum([c.covered for c in counts], axis=0) / area
    return RegionScores(
        covering_threshold=float(levels[int(np.argmax(covering))]),
        covering_ods=float(covering.max()),
        covering_ois=float(sum(c.covered.max() for c in counts) / area),
        covering_best=float(sum(c.best for c in counts) / area),
        rand_ods=float(np.mean([c.rand for c in counts], axis=0).max()),
        rand_ois=float(np.mean([c.rand.max() for c in counts])),
        variation_ods=float(np.mean([c.variation for c in counts], axis=0).min()),
        variation_ois=float(np.mean([c.variation.min() for c in counts])),
    )
