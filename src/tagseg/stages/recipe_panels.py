"""The picture of recipes: the same photographs, their truth, and the masks that several runs made of them."""

from pathlib import Path

import numpy as np

from tagseg.datasets.images import read_image
from tagseg.datasets.index import ImageRecord, read_classes
from tagseg.errors import TagsegError
from tagseg.evaluation.confusion import ConfusionMatrix
from tagseg.figures.panels import panel_figure
from tagseg.pictures import write_figure
from tagseg.store import ShardSet
from tagseg.truths import Truths


def run(
    tags: Path, classes: Path, ground_truth: Path, runs: dict[str, list[Path]], output: Path, *, count: int
) -> None:
    """Write image, truth and the masks of each of `runs`, named shards of label maps, for `count` images.

    A third of them are those that the last run labels worst, a third are in the middle, a third best, by mean IoU; the
    figure beside a name is that. Raises TagsegError if no image has truth, or
    naming the mask for truth of another size or with labels outside the classes.
    """
    truths = Truths(tags, ground_truth, None, "draw recipes").only(lambda record: bool(record.tags))
    names = read_classes(classes)
    shards = {name: ShardSet(paths, "labels") for name, paths in runs.items()}
    last = list(shards.values())[-1]
    scores = [_mean_iou(truths, record, last.get(record.id, "mask"), len(names)) for record in truths.records]
    rows, labels = [], []
    ranked = [int(i) for i in np.argsort(scores, kind="stable") if np.isfinite(scores[i])]  # not where all is ignored
    for i in _spread(ranked, count):
        record = truths.records[i]
        masks = [shard.get(record.id, "mask") for shard in shards.values()]
        rows.append([read_image(record.path), truths.labels(record), *masks])
        labels.append(f"{record.id} ({record.split})\n{100 * scores[i]:.0f}")
    write_figure(panel_figure(["image", "truth", *runs], rows, labels, names), output)


def _spread(order: list[int], count: int) -> list[int]:
    """The first, the middle and the last third of `count` places of an order; all of it if it is no longer."""
    if len(order) <= count:
        return order
    ends, middle = count // 3, count - 2 * (count // 3)
    start = (len(order) - middle) // 2
    return [*order[:ends], *order[start : start + middle], *order[len(order) - ends :]]


def _mean_iou(truths: Truths, record: ImageRecord, mask: np.ndarray, classes: int) -> float:
    matrix = ConfusionMatrix(classes)
    try:
        matrix.update(truths.labels(record), mask)
    except ValueError as error:
        raise TagsegError(f"{truths.path(record)}: {error}; mend the mask, or take it out") from None
    return matrix.mean_iou()
