"""Draw recipes.png: the same images, their truth, and the masks that several runs made of them."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from tagseg.artifacts.shard_sets import ShardSet
from tagseg.config.arguments import Classes, GroundTruth, Named, Output, Tags
from tagseg.datasets.index import ImageRecord, read_classes
from tagseg.datasets.truths import Truths
from tagseg.errors import TagsegError
from tagseg.figures.grid import Cell, image_grid
from tagseg.figures.panels import image_panel, label_panel
from tagseg.images.files import read_image
from tagseg.runtime.evaluations import compare
from tagseg.runtime.pictures import display_names, write_figure


def run(
    tags: Tags,
    classes: Classes,
    ground_truth: GroundTruth,
    runs: Annotated[
        dict[str, list[Path]],
        Named("run"),
        Field(description="NAME=SHARD of label maps; for each run and shard"),
    ],
    output: Output,
    *,
    count: Annotated[int, Field(ge=1, description="Images: a third worst, a third middling, a third best")] = 12,
) -> None:
    """Draw the masks that several runs made of the same images, beside image and truth.

    `runs` are shards of label maps by the name of their run. A third of the `count` images are those that the last run
    labels worst, a third are average, a third are its best, by mean IoU; the number below an id is that IoU in percent.
    Raises TagsegError if no tagged image has truth that can be compared, or naming the mask if the truth has another
    size than the label map, or labels outside the classes.
    """
    truths = Truths(tags, ground_truth, None, "draw recipes").only(lambda record: bool(record.tags))
    names = read_classes(classes)
    masks = {name: ShardSet(paths, "labels") for name, paths in runs.items()}
    last = list(masks.values())[-1]
    scores = [_mean_iou(truths, record, last.get(record.id, "labels"), len(names)) for record in truths.records]
    ranked = [int(i) for i in np.argsort(scores, kind="stable") if np.isfinite(scores[i])]  # NaN: no truth
    if not ranked:
        raise TagsegError(f"{ground_truth}: no tagged image has truth that is not ignored; there is nothing to compare")

    def cells(record: ImageRecord) -> list[Cell]:
        return [
            ("image", image_panel(read_image(record.path))),
            ("truth", label_panel(truths.labels(record))),
            *((name, label_panel(shards.get(record.id, "labels"))) for name, shards in masks.items()),
        ]

    shown = [(truths.records[i], scores[i]) for i in _ends_and_middle(ranked, count)]
    rows = [(f"{record.id} ({record.split})\n{100 * score:.0f}", cells(record)) for record, score in shown]
    write_figure(image_grid(rows, list(display_names(names).values())), output)


def _ends_and_middle(order: list[int], count: int) -> list[int]:
    """`count` items: a third from the start, a third from the middle, a third from the end; all if there are fewer."""
    if len(order) <= count:
        return order
    ends, middle = count // 3, count - 2 * (count // 3)
    start = (len(order) - middle) // 2
    return [*order[:ends], *order[start : start + middle], *order[len(order) - ends :]]


def _mean_iou(truths: Truths, record: ImageRecord, mask: np.ndarray, classes: int) -> float:
    """Mean IoU of one image in [0, 1]; NaN if all of its truth is ignored."""
    return compare(truths.labels(record), mask, classes, truths.path(record)).mean_iou()
