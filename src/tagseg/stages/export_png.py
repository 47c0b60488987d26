"""Write label maps as indexed PNG files with the VOC palette."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.atomic import atomic_folder
from tagseg.artifacts.shard_sets import ShardSet
from tagseg.config.arguments import WRITTEN, Files, OneSplit, Tags
from tagseg.datasets.index import read_index
from tagseg.images.files import write_labels
from tagseg.runtime.progress import log_rate


def run(
    labels: Files,
    tags: Tags,
    output: Annotated[Path, WRITTEN, Field(description="Folder to write")],
    *,
    split: OneSplit = None,
) -> None:
    """Write label maps as indexed PNG files with the VOC palette.

    They are `output/ID.png` for each image, or each of one split. The folder appears complete or not at all.
    """
    maps = ShardSet(labels, "labels")
    records = read_index(tags, split)
    with atomic_folder(output) as folder, log_rate("images", len(records)):
        for record in tqdm(records, unit="image", disable=None):
            write_labels(folder / f"{record.id}.png", maps.get(record.id, "labels"))
