"""The images of a split that can be compared with the truth: what evaluation alone looks at."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tagseg.datasets.images import read_labels
from tagseg.datasets.index import ImageRecord, read_ground_truth, read_index
from tagseg.errors import TagsegError


class Truths:
    """The records of one split, or of all (None), that have a truth mask, in the order of `tags.csv`, and these masks.

    Raises TagsegError if none has one.
    """

    def __init__(self, tags: Path, ground_truth: Path, split: str | None, purpose: str = "evaluate"):
        self._paths = read_ground_truth(ground_truth)
        self.records = [record for record in read_index(tags, split) if record.id in self._paths]
        if not self.records:
            which = "no image" if split is None else f"no image of split {split}"
            raise TagsegError(f"{ground_truth}: {which} has a truth mask; add masks to {purpose}")

    def path(self, record: ImageRecord) -> Path:
        """Where an image's mask lies."""
        return self._paths[record.id]

    def labels(self, record: ImageRecord) -> np.ndarray:
        """The truth of an image, (H, W) uint8, 255 = ignored. Raises TagsegError naming the file if unreadable."""
        return read_labels(self._paths[record.id])

    def only(self, wanted: Callable[[ImageRecord], bool]) -> "Truths":
        """The same with those records alone that are wanted; there may be none."""
        fewer = copy.copy(self)
        fewer.records = [record for record in self.records if wanted(record)]
        return fewer

    def evenly(self, count: int) -> list[ImageRecord]:
        """`count` of the records, spread evenly over the list; all if there are fewer."""
        places = np.unique(np.linspace(0, len(self.records) - 1, count).round().astype(int))
        return [self.records[i] for i in places]

    def sample(self, part: float, seed: int) -> list[ImageRecord]:
        """A part of the records in their order, drawn without replacement; at least one, and the same for one seed."""
        number = max(1, round(part * len(self.records)))
        chosen = np.random.default_rng(seed).choice(len(self.records), number, replace=False)
        return [self.records[i] for i in sorted(chosen)]
