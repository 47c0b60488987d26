"""Download and unpack VOC 2012 and SBD. Only on request: no other stage needs the network."""

from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.atomic import write_text
from tagseg.config.arguments import WRITTEN
from tagseg.datasets.download import SBD, VOC, fetch, unpack


def run(
    folder: Annotated[Path, WRITTEN, Field(description="Folder for the archives, VOCdevkit/ and benchmark_RELEASE/")],
    output: Annotated[Path | None, WRITTEN, Field(description="File to write when all is there")] = None,
) -> None:
    """Download VOC 2012 and SBD (3.4 GB), check their sums, and unpack them; an interrupted download is resumed.

    Makes `folder/VOCdevkit/VOC2012` and `folder/benchmark_RELEASE`, and keeps the archives beside them. `output` is
    written last: a line for each archive, with its MD5 sum.
    """
    for archive in (VOC, SBD):
        bar = partial(tqdm, unit="B", unit_scale=True, desc=archive.name, disable=None)
        unpack(fetch(archive, folder, bar), folder)
    if output is not None:
        write_text(output, "".join(f"{archive.md5}  {archive.name}\n" for archive in (VOC, SBD)))
