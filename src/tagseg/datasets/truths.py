"""The truth masks listed in `ground_truth.csv`, and the images of a split that have one.

Everything that uses pixel labels reads them here, so that they mean the same everywhere.
"""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tagseg.datasets.index import ImageRecord, evenly, read_foregrounds, read_ground_truth, read_index
from tagseg.datasets.truth_checks import require_photographs_size
from tagseg.errors import TagsegError
from tagseg.images.files import mask_size, read_labels


class TruthMasks:
    """The masks in `ground_truth.csv`, by id; its paths are relative to `seen_from`."""

    def __init__(self, ground_truth: Path, seen_from: Path = Path()):
        self._paths = {name: seen_from / path for name, path in read_ground_truth(ground_truth).items()}
        self._foregrounds = read_foregrounds(ground_truth)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._paths

    def path(self, record: ImageRecord) -> Path:
        """The mask file of an image."""
        return self._paths[record.id]

    def labels(self, record: ImageRecord) -> np.ndarray:
        """The truth of an image, (H, W) uint8, 255 = ignored. Raises TagsegError naming the file if unreadable."""
        return read_labels(self._paths[record.id], self._foregrounds.get(record.id))

    def require_size(self, record: ImageRecord) -> None:
        """Raise TagsegError if an image's mask is missing or has another size; only its header is read."""
        require_photographs_size(self._paths[record.id], mask_size(self._paths[record.id]), record)


class Truths:
    """The records of one split (None: of all) that have a truth mask, in the order of `tags.csv`, and their masks.

    Raises TagsegError if none has one, or, before anything is computed, if a mask is missing or differs in size from
    its photograph. `purpose` ends the remedy `add masks to ...`.
    """

    def __init__(self, tags: Path, ground_truth: Path, split: str | None, purpose: str = "evaluate"):
        self.masks = TruthMasks(ground_truth)
        self.records = [record for record in read_index(tags, split) if record.id in self.masks]
        if not self.records:
            which = "no image" if split is None else f"no image of split {split}"
            raise TagsegError(f"{ground_truth}: {which} has a truth mask; add masks to {purpose}")
        for record in self.records:
            self.masks.require_size(record)

    def path(self, record: ImageRecord) -> Path:
        """The mask file of an image."""
        return self.masks.path(record)

    def labels(self, record: ImageRecord) -> np.ndarray:
        """The truth of an image, (H, W) uint8, 255 = ignored. Raises TagsegError naming the file if unreadable."""
        return self.masks.labels(record)

    def only(self, wanted: Callable[[ImageRecord], bool]) -> "Truths":
        """A copy with only the wanted records; there may be none."""
        fewer = copy.copy(self)
        fewer.records = [record for record in self.records if wanted(record)]
        return fewer

    def evenly(self, count: int) -> list[ImageRecord]:
        """`count` of the records, spread evenly over the list; all if there are fewer."""
        return evenly(self.records, count)

    def sample(self, part: float, seed: int) -> list[ImageRecord]:
        """A fraction `part` of the records, at least one, in their order, drawn without replacement with `seed`."""
        number = max(1, round(part * len(self.records)))
        chosen = np.random.default_rng(seed).choice(len(self.records), number, replace=False)
        return [self.records[i] for i in sorted(chosen)]
