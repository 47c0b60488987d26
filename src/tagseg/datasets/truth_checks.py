"""Check when a data set is indexed whether its truth masks can be evaluated on: their format, size and labels.

The results never reach training: they are reported, or stop a run before it begins.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from tagseg.datasets.checks import Checks
from tagseg.datasets.index import ImageRecord
from tagseg.errors import TagsegError, first_of
from tagseg.images.files import UNREADABLE
from tagseg.images.mask_values import Foreground
from tagseg.images.palette import IGNORE

_FEW = 3  # most names in a message


@dataclass(frozen=True)
class TruthFile:
    """The mask of an image: its file, the function that reads it as labels (H, W) uint8, and its pixels' meaning."""

    record: ImageRecord
    path: Path
    read: Callable[[], np.ndarray]
    foreground: Foreground | None = None


@dataclass
class TruthSurvey:
    """What the masks hold: how many there are by split, and which are of little or no use for evaluation."""

    splits: dict[str, int] = field(default_factory=dict)
    background: list[Path] = field(default_factory=list)  # nothing but background, though there are tags
    ignored: list[Path] = field(default_factory=list)  # nothing but 255
    black_and_white: list[Path] = field(default_factory=list)  # nothing but 0 and 255
    contradicted: list[Path] = field(default_factory=list)  # classes of which none is among the tags

    def doubts(self) -> list[str]:
        """One sentence each, with the number of masks and the first names."""
        return [
            f"{_masks(paths)} {what}"
            for paths, what in (
                (self.background, "no class, background alone, though the photograph has tags"),
                (self.ignored, "nothing but 255, which is ignored: not evaluated"),
                (self.black_and_white, "0 and 255 alone, and 255 is ignored: nothing but background is evaluated"),
                (self.contradicted, "no class that the photograph is tagged with: is the order of the classes right?"),
            )
            if paths
        ]


def survey_truth(files: Sequence[TruthFile], classes: list[str], checks: Checks, remedy: str) -> TruthSurvey:
    """Read every mask once, hand faults of single masks to `checks`, and say what the others hold.

    `classes` are the names without background. Raises TagsegError, with `remedy` as what to do, if all masks hold only
    0 and 255.
    """

    def labels_in(file: TruthFile) -> tuple[int, ...]:
        labels = file.read()
        require_photographs_size(file.path, (labels.shape[1], labels.shape[0]), file.record)
        seen = np.zeros(256, dtype=bool)
        seen[labels] = True
        values = tuple(np.flatnonzero(seen).tolist())
        require_known(file.path, values, classes)
        return values

    found = checks.apply({file.record.id: file for file in files}, labels_in, "mask")
    survey = TruthSurvey()
    for file in files:
        if file.record.id in found:
            survey.splits[file.record.split] = survey.splits.get(file.record.split, 0) + 1
            _sort(survey, file, found[file.record.id], classes)
    white = [values for values in found.values() if values != (0,)]
    if white and all(set(values) <= {0, IGNORE} for values in white):
        raise TagsegError(
            f"{files[0].path.parent}: {_of_all(found)} {IGNORE} and 0 alone, and {IGNORE} is ignored: there is nothing "
            f"to compare; {remedy}"
        )
    return survey


def _sort(survey: TruthSurvey, file: TruthFile, values: tuple[int, ...], classes: list[str]) -> None:
    shown = {classes[value - 1] for value in values if 0 < value < IGNORE}
    if values == (IGNORE,):
        survey.ignored.append(file.path)
    elif values == (0, IGNORE):
        survey.black_and_white.append(file.path)
    elif values == (0,) and file.record.tags:
        survey.background.append(file.path)
    elif shown and file.record.tags and not shown & set(file.record.tags):
        survey.contradicted.append(file.path)


def require_known(path: Path, values: Sequence[int], classes: list[str]) -> None:
    """Raise TagsegError if a mask holds a label beyond the classes (names without background)."""
    beyond = [value for value in values if len(classes) < value < IGNORE]
    if not beyond:
        return
    shown = ", ".join(map(str, beyond[:_FEW])) + (f" and {len(beyond) - _FEW} more" if len(beyond) > _FEW else "")
    names = ", ".join(f"{i} {name}" for i, name in enumerate(classes[:_FEW], start=1))
    more = ", ..." if len(classes) > _FEW else ""
    what = "is one class" if len(classes) == 1 else f"are {len(classes)} classes"
    raise TagsegError(
        f"{path}: label {shown}, but there {what}; use 0 for background, {names}{more}, and {IGNORE} for what is "
        "ignored, or name all classes in the order of the labels"
    )


def require_photographs_size(path: Path, size: tuple[int, int], record: ImageRecord) -> None:
    """Raise TagsegError if a mask's `size` (width, height) is not that of its upright photograph."""
    width, height = size
    if size == (record.width, record.height):
        return
    upright = f"{record.width} x {record.height}"
    if size == _stored_size(record.path):
        raise TagsegError(
            f"{path}: {width} x {height} pixels, as {record.path} is stored; by its EXIF orientation that is {upright} "
            "upright; turn the mask as the photograph is turned, or draw it on the upright photograph"
        )
    turned = ", the same turned by 90 degrees" if (height, width) == (record.width, record.height) else ""
    raise TagsegError(
        f"{path}: {width} x {height} pixels, but its photograph {record.path} has {upright}{turned}; "
        "use the mask of this photograph at its size"
    )


def _stored_size(photograph: Path) -> tuple[int, int] | None:
    """(width, height) before the EXIF orientation is applied; None if the photograph cannot be read."""
    try:
        with Image.open(photograph) as image:
            return image.size
    except UNREADABLE:
        return None


def _masks(paths: list[Path]) -> str:
    names = first_of([path.name for path in paths])
    return f"{len(paths)} {'mask shows' if len(paths) == 1 else 'masks show'} ({names})"


def _of_all(found: dict[str, tuple[int, ...]]) -> str:
    return "its mask holds" if len(found) == 1 else f"all its {len(found)} masks hold"
