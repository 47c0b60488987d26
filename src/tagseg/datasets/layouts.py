"""The layouts of data sets on disk, by the `kind` that a configuration gives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tagseg.config.data import FolderPhotographs, FolderTruth, Settings
from tagseg.datasets import coco, folder, folder_masks, voc, youtube_objects
from tagseg.datasets.checks import Checks
from tagseg.datasets.index import ImageRecord
from tagseg.datasets.truth_checks import TruthFile


@dataclass(frozen=True)
class Layout:
    """How one layout is read; each function takes the settings of its kind.

    Attributes:
        index: classes without background, and records; faults go to `Checks`.
        truth: the mask file of each record that has one, by id.
        sources: the files whose changes require a new index.
        has_truth: whether there is anything to evaluate on.
        render: draws masks (H, W) uint8 of the records whose truth is not PNG; None if the layout has none of those.
        rendered: whether `render` is needed under these settings.
        has_test: whether there are images without truth, of split test.
        train_truth: whether some training images have truth, too.
        memory: MB of memory that reading the annotations takes.
        photographs, masks: the files, besides `sources`, that the index and the truth are made from; a replaced one is
            noticed by its size.
        truth_files: the masks, each with its reader, to be checked with the index; none if truth is drawn from
            annotations.
        unmatched: files that may be masks but belong to no image.
        white: the remedy for masks that hold only 0 and 255.
        index_settings: the settings that the index depends on; None for all.
        truth_settings: the others.
    """

    index: Callable[[Any, Checks], tuple[list[str], list[ImageRecord]]]
    truth: Callable[[Any, list[ImageRecord]], dict[str, Path]]
    sources: Callable[[Any], list[Path]]
    has_truth: Callable[[Any], bool]
    render: Callable[[Any, list[ImageRecord]], Iterator[tuple[str, np.ndarray]]] | None = None
    rendered: Callable[[Any], bool] = lambda data: False
    has_test: Callable[[Any], bool] = lambda data: False
    train_truth: Callable[[Any], bool] = lambda data: True
    memory: int = 1000
    photographs: Callable[[Any], list[Path]] = lambda data: []
    masks: Callable[[Any], list[Path]] = lambda data: []
    truth_files: Callable[[Any, list[ImageRecord], list[str]], list[TruthFile]] = lambda data, records, classes: []
    unmatched: Callable[[Any, list[TruthFile]], list[Path]] = lambda data, files: []
    white: str = "number the classes 1, 2, ... in the masks"
    index_settings: type[Settings] | None = None
    truth_settings: type[Settings] = Settings


LAYOUTS: dict[str, Layout] = {
    "folder": Layout(
        folder.index,
        folder.truth,
        folder.sources,
        folder.has_truth,
        train_truth=lambda data: False,
        photographs=folder.photographs,
        masks=folder.masks,
        truth_files=folder_masks.truth_files,
        unmatched=folder_masks.unmatched,
        white="if white shows what a photograph's tag says, set data.foreground to 255 (tagseg init: --foreground 255)",
        index_settings=FolderPhotographs,
        truth_settings=FolderTruth,
    ),
    "voc": Layout(
        voc.index,
        voc.truth,
        voc.sources,
        voc.has_truth,
        voc.render,
        voc.rendered,
        voc.has_test,
        photographs=voc.photographs,
        masks=voc.masks,
        truth_files=voc.truth_files,
        train_truth=voc.train_truth,
    ),
    "coco": Layout(
        coco.index,
        coco.truth,
        coco.sources,
        coco.has_truth,
        coco.render,
        rendered=lambda data: True,
        memory=8000,
        photographs=coco.photographs,
    ),
    "youtube_objects": Layout(
        youtube_objects.index,
        youtube_objects.truth,
        youtube_objects.sources,
        youtube_objects.has_truth,
        youtube_objects.render,
        rendered=youtube_objects.has_truth,
        train_truth=lambda data: False,
        masks=youtube_objects.masks,
        truth_files=youtube_objects.truth_files,
        white="save them as grey PNG, in which all but 0 is the object",
    ),
}
