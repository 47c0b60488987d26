"""The archive for VOC's evaluation server, from smoothed predictions."""

from pathlib import Path

from tqdm import tqdm

from tagseg.artifacts.shard_sets import ShardSet
from tagseg.datasets import voc_submission as submission
from tagseg.datasets.index import BACKGROUND, read_classes
from tagseg.datasets.voc import CLASSES
from tagseg.errors import TagsegError


def run(labels: list[Path], tags: Path, classes: Path, output: Path, *, split: str) -> None:
    """Write the archive of one split's predictions, and check it. Raises TagsegError for other classes than VOC's."""
    if read_classes(classes) != [BACKGROUND, *CLASSES]:
        raise TagsegError(f"{classes}: not VOC's classes; the evaluation server takes predictions of those alone")
    records = submission.records_of(tags, split)
    maps = ShardSet(labels, "labels")
    bar = tqdm(records, unit="image", disable=None)
    submission.write(output, ((record.id, maps.get(record.id, "mask")) for record in bar))
    try:
        submission.check(output, records)
    except TagsegError:
        output.unlink()  # nobody is to send it
        raise
