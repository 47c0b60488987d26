"""The result of one evaluation: a confusion matrix, and a description of what was evaluated."""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tagseg.evaluation.confusion import ConfusionMatrix


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
        """Parse the output of `to_json`. Raises ValueError for any other text."""
        content: Any = json.loads(text)
        if not isinstance(content, dict) or not {"facts", "classes", "images", "counts"} <= set(content):
            raise ValueError("no evaluation result")
        counts = np.array(content["counts"], dtype=np.int64)
        return cls(content["facts"], content["classes"], content["images"], ConfusionMatrix(len(counts), counts))
