"""Every layout on disk by the name that a configuration gives it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagseg.datasets import folder, voc
from tagseg.datasets.index import ImageRecord


@dataclass(frozen=True)
class Layout:
    """How one layout is read; each function takes the settings of its kind.

    `index` gives classes without background and records, `truth` the mask of each record that has one, `sources` the
    files whose change makes a new index, `has_truth` whether anything can be evaluated.
    """

    index: Callable[[Any], tuple[list[str], list[ImageRecord]]]
    truth: Callable[[Any, list[ImageRecord]], dict[str, Path]]
    sources: Callable[[Any], list[Path]]
    has_truth: Callable[[Any], bool]


LAYOUTS: dict[str, Layout] = {
    "folder": Layout(folder.index, folder.truth, folder.sources, folder.has_truth),
    "voc": Layout(voc.index, voc.truth, voc.sources, voc.has_truth),
}
