"""The result of one evaluation: a confusion matrix, and a description of what was evaluated."""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tagseg.evaluation.confusion import ConfusionMatrix

_LARGEST = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Result:
    """A confusion matrix over `images` images, with the names of its `classes`.

    `facts` describe what was evaluated: experiment, mask, crf, fov, smoothing, split.
    """

    facts: dict[str, str]
    classes: list[str]
    images: int
    matrix: ConfusionMatrix

    def merit(self) -> dict[str, float | None]:
        """The metrics by name, in [0, 1]; None without pixels."""
        matrix = self.matrix
        figures = {
            "mean_iou": matrix.mean_iou(),
            "pixel_accuracy": matrix.pixel_accuracy(),
            "mean_accuracy": matrix.mean_accuracy(),
            "frequency_weighted_iou": matrix.frequency_weighted_iou(),
        }
        return {name: None if math.isnan(value) else value for name, value in figures.items()}

    def absent(self) -> list[str]:
        """Names of the classes that occur in neither truth nor prediction, and are not part of the mean IoU."""
        return [name for name, left_out in zip(self.classes, self.matrix.absent(), strict=True) if left_out]

    def to_json(self) -> str:
        """Serialise to JSON, with one line per row of the matrix; metrics are included for readers."""
        rows = ",\n  ".join(json.dumps(row) for row in self.matrix.counts.tolist())
        iou = [None if math.isnan(value) else value for value in self.matrix.iou().tolist()]
        head = {
            "facts": self.facts,
            "classes": self.classes,
            "images": self.images,
            "merit": self.merit(),
            "iou": dict(zip(self.classes, iou, strict=True)),
            "absent": self.absent(),
        }
        return json.dumps(head, indent=1)[:-2] + f',\n "counts": [\n  {rows}\n ]\n}}\n'

    @classmethod
    def from_json(cls, text: str) -> "Result":
        """Parse the output of `to_json`. Raises ValueError for any other text, saying what is wrong with it."""
        content: Any = json.loads(text)
        if not isinstance(content, dict) or not {"facts", "classes", "images", "counts"} <= set(content):
            raise ValueError("no evaluation result")
        facts, classes, images = content["facts"], content["classes"], content["images"]
        if not isinstance(facts, dict) or not all(isinstance(value, str) for value in facts.values()):
            raise ValueError("its facts are not texts by name")
        if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
            raise ValueError("its classes are no list of names")
        if not _is_count(images):
            raise ValueError("its images are no number of images")
        return cls(facts, classes, images, ConfusionMatrix(len(classes), _counts(content["counts"], len(classes))))


def _counts(rows: Any, classes: int) -> np.ndarray:
    """Counts (N, N) int64 from the content of a file, for N = `classes`. Raises ValueError for any other."""
    if (
        not isinstance(rows, list)
        or len(rows) != classes
        or not all(isinstance(row, list) and len(row) == classes and all(map(_is_count, row)) for row in rows)
    ):
        raise ValueError(f"its counts are not {classes} x {classes} numbers of pixels, as many as it has classes")
    return np.array(rows, dtype=np.int64)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST
