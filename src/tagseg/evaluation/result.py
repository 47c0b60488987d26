"""The result of one evaluation: a confusion matrix, and what was evaluated."""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tagseg.evaluation.confusion import ConfusionMatrix


@dataclass(frozen=True)
class Result:
    """`facts` name what was evaluated (experiment, mask, crf, fov, smoothing, split), `classes` the rows' names."""

    facts: dict[str, str]
    classes: list[str]
    images: int
    matrix: ConfusionMatrix

    def merit(self) -> dict[str, float | None]:
        """Figures of merit in [0, 1]; None where there is no pixel to read one from."""
        matrix = self.matrix
        figures = {
            "mean_iou": matrix.mean_iou(),
            "pixel_accuracy": matrix.pixel_accuracy(),
            "mean_accuracy": matrix.mean_accuracy(),
            "frequency_weighted_iou": matrix.frequency_weighted_iou(),
        }
        return {name: None if math.isnan(value) else value for name, value in figures.items()}

    def absent(self) -> list[str]:
        """Names of the classes that neither truth nor prediction has: the mean IoU is over the others."""
        return [name for name, left_out in zip(self.classes, self.matrix.absent(), strict=True) if left_out]

    def to_json(self) -> str:
        """As text, one row of the matrix a line. What can be read from the matrix stands beside it, for people."""
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
        """From `to_json`'s text. Raises ValueError for any other text."""
        content: Any = json.loads(text)
        if not isinstance(content, dict) or not {"facts", "classes", "images", "counts"} <= set(content):
            raise ValueError("no evaluation result")
        counts = np.array(content["counts"], dtype=np.int64)
        return cls(content["facts"], content["classes"], content["images"], ConfusionMatrix(len(counts), counts))
