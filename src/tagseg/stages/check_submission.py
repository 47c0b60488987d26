"""Check that an archive is what VOC's evaluation server takes."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from tagseg.config.arguments import POSITIONAL, Named, Tags
from tagseg.datasets import voc_submission as submission


def run(
    archive: Annotated[Path, POSITIONAL, Named("file"), Field(description="The .tar.gz")],
    tags: Tags,
    *,
    split: Annotated[str, Field(description="Split that it is of")] = "test",
) -> str:
    """Check that an archive is as VOC's evaluation server wants it: names, mode, palette, sizes, values.

    Returns a line that says that the archive is complete, and of which split. Raises TagsegError naming the first
    fault.
    """
    records = submission.records_of(tags, split)
    submission.check(archive, records)
    return f"{archive}: {len(records)} masks of split {split}, as the evaluation server takes them"
