"""The picture of recipes: the same photographs, their truth, and the masks that several runs made of them."""

from pathlib import Path

import numpy as np

from tagseg.datasets.images import read_image, read_labels
from tagseg.datasets.index import read_classes, read_ground_truth, read_index
from tagseg.errors import TagsegError
from tagseg.evaluation.confusion import ConfusionMatrix
from tagseg.figures.panels import panel_figure
from tagseg.pictures import write_figure
from tagseg.store import ShardSet


def run(
    tags: Path, classes: Path, ground_truth: Path, runs: dict[str, list[Path]], output: Path, *, count: int
) -> None:
    """Write image, truth and the masks of each of `runs`, named shards of label maps, for `count` images.

    A third of them are those that the last run labels worst, a third are in the middle, a third best, by mean IoU; the
    figure beside a name is that. Raises TagsegError if no image has truth.
    """
    truth_of = read_ground_truth(ground_truth)
    records = [record for record in read_index(tags) if record.id in truth_of and record.tags]
    if not records:
        raise TagsegError(f"{ground_truth}: no image with a tag has a truth mask; add masks to draw recipes")
    names = read_classes(classes)
    shards = {name: ShardSet(paths, "labels") for name, paths in runs.items()}
    last = list(shards.values())[-1]
    scores = [_mean_iou(read_labels(truth_of[r.id]), last.get(r.id, "mask"), len(names)) for r in records]
    rows, labels = [], []
    for i in _spread(np.argsort(scores, kind="stable"), count):
        record = records[i]
        masks = [shard.get(record.id, "mask") for shard in shards.values()]
        rows.append([read_image(record.path), read_labels(truth_of[record.id]), *masks])
        labels.append(f"{record.id} ({record.split})\n{100 * scores[i]:.0f}")
    write_figure(panel_figure(["image", "truth", *runs], rows, labels, names), output)


def _spread(order: np.ndarray, count: int) -> list[int]:
    """The first, the middle and the last third of `count` places of an order; all of it if it is no longer."""
    if len(order) <= count:
        return [int(i) for i in order]
    ends, middle = count // 3, count - 2 * (count // 3)
    start = (len(order) - middle) // 2
    return [int(i) for i in [*order[:ends], *order[start : start + middle], *order[len(order) - ends :]]]


def _mean_iou(truth: np.ndarray, mask: np.ndarray, classes: int) -> float:
    matrix = ConfusionMatrix(classes)
    matrix.update(truth, mask)
    return matrix.mean_iou()
