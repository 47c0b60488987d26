"""Pack smoothed predictions for VOC's evaluation server."""

from typing import Annotated

from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.shard_sets import ShardSet
from tagseg.config.arguments import Classes, Files, Output, Tags
from tagseg.datasets import voc_submission as submission
from tagseg.datasets.index import BACKGROUND, read_classes
from tagseg.datasets.voc import CLASSES
from tagseg.errors import TagsegError


def run(
    labels: Files,
    tags: Tags,
    classes: Classes,
    output: Output,
    *,
    split: Annotated[str, Field(description="Split whose predictions are packed")] = "test",
) -> None:
    """Pack the predictions of one split as the archive that VOC's evaluation server takes, and check it.

    Raises TagsegError if the classes are not VOC's, or naming the first fault of the archive, which is then removed.
    """
    if read_classes(classes) != [BACKGROUND, *CLASSES]:
        raise TagsegError(f"{classes}: not VOC's classes; the evaluation server takes predictions of those alone")
    records = submission.records_of(tags, split)
    maps = ShardSet(labels, "labels")
    bar = tqdm(records, unit="image", disable=None)
    submission.write(output, ((record.id, maps.get(record.id, "labels")) for record in bar))
    try:
        submission.check(output, records)
    except TagsegError:
        output.unlink()  # so that nobody sends it
        raise
