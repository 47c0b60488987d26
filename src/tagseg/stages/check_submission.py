"""Prove that an archive is what VOC's evaluation server takes."""

from pathlib import Path

from tagseg.datasets import voc_submission as submission


def run(archive: Path, tags: Path, *, split: str) -> str:
    """A line that says that the archive is whole, and of which split. Raises TagsegError naming the first fault."""
    records = submission.records_of(tags, split)
    submission.check(archive, records)
    return f"{archive}: {len(records)} masks of split {split}, as the evaluation server takes them"
