"""The result of one evaluation: a confusion matrix, and what was evaluated."""

import json
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

    def to_json(self) -> str:
        """As text, one row of the matrix a line."""
        rows = ",\n  ".join(json.dumps(row) for row in self.matrix.counts.tolist())
        head = {"facts": self.facts, "classes": self.classes, "images": self.images}
        return json.dumps(head, indent=1)[:-2] + f',\n "counts": [\n  {rows}\n ]\n}}\n'

    @classmethod
    def from_json(cls, text: str) -> "Result":
        """From `to_json`'s text. Raises ValueError for any other text."""
        content: Any = json.loads(text)
        if not isinstance(content, dict) or not {"facts", "classes", "images", "counts"} <= set(content):
            raise ValueError("no evaluation result")
        counts = np.array(content["counts"], dtype=np.int64)
        return cls(content["facts"], content["classes"], content["images"], ConfusionMatrix(len(counts), counts))
