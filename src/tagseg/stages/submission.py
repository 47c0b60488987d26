"""The archive for VOC's evaluation server, from smoothed predictions; and the proof that one is as it must be."""

from pathlib import Path

from tqdm import tqdm

from tagseg.datasets import submission
from tagseg.datasets.index import BACKGROUND, ImageRecord, read_classes, read_index
from tagseg.datasets.voc import CLASSES
from tagseg.errors import TagsegError
from tagseg.store import ShardSet


def run(labels: list[Path], tags: Path, classes: Path, output: Path, *, split: str) -> None:
    """Write the archive of one split's predictions, and check it. Raises TagsegError for other classes than VOC's."""
    if read_classes(classes) != [BACKGROUND, *CLASSES]:
        raise TagsegError(f"{classes}: not VOC's classes; the evaluation server takes predictions of those alone")
    records = _records(tags, split)
    maps = ShardSet(labels, "labels")
    bar = tqdm(records, unit="image", disable=None)
    submission.write(output, ((record.id, maps.get(record.id, "mask")) for record in bar))
    try:
        submission.check(output, records)
    except TagsegError:
        output.unlink()  # nobody is to send it
        raise


def check(archive: Path, tags: Path, *, split: str) -> str:
    """Prove that an archive is what the server takes for one split; a line that says so.

    Raises TagsegError naming the first fault.
    """
    records = _records(tags, split)
    submission.check(archive, records)
    return f"{archive}: {len(records)} masks of split {split}, as the evaluation server takes them"


def _records(tags: Path, split: str) -> list[ImageRecord]:
    records = read_index(tags, split)
    if not records:
        raise TagsegError(f"{tags}: no image of split {split}; name another split, or index images of that one")
    return records
