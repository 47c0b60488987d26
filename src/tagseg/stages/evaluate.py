"""Compare label maps with the truth of one split. Evaluation alone reads ground truth."""

import logging
from pathlib import Path

from tqdm import tqdm

from tagseg.datasets.images import read_labels
from tagseg.datasets.index import read_classes, read_ground_truth, read_index
from tagseg.errors import TagsegError
from tagseg.evaluation.confusion import ConfusionMatrix, Protocol, any_foreground
from tagseg.evaluation.result import Result
from tagseg.progress import rate
from tagseg.store import ShardSet, write_text

log = logging.getLogger(__name__)


def run(
    labels: list[Path],
    tags: Path,
    ground_truth: Path,
    classes: Path,
    output: Path,
    *,
    split: str,
    protocol: Protocol,
    facts: dict[str, str],
) -> None:
    """Write the confusion matrix over all images of the split that have truth, as JSON with `facts`.

    `foreground` counts any class as foreground, in truth and prediction (Table 4). Raises TagsegError naming the mask
    for truth of another size or with labels outside the classes.
    """
    names = read_classes(classes) if protocol == "classes" else ["background", "foreground"]
    truth_of = read_ground_truth(ground_truth)
    records = [record for record in read_index(tags, split) if record.id in truth_of]
    if not records:
        raise TagsegError(f"{ground_truth}: no image of split {split} has a truth mask; add masks to evaluate")
    maps = ShardSet(labels, "labels")
    matrix = ConfusionMatrix(len(names))
    with rate("images", len(records)):
        for record in tqdm(records, unit="image", disable=None):
            truth, predicted = read_labels(truth_of[record.id]), maps.get(record.id, "mask")
            if protocol == "foreground":
                truth, predicted = any_foreground(truth), any_foreground(predicted)
            try:
                matrix.update(truth, predicted)
            except ValueError as error:
                raise TagsegError(f"{truth_of[record.id]}: {error}; mend the mask, or take it out") from None
    write_text(output, Result({**facts, "split": split}, names, len(records), matrix).to_json())
    log.info("mean IoU %.2f over %d images", 100 * matrix.mean_iou(), len(records))
