"""Label maps as indexed PNG files with the VOC palette."""

import os
import shutil
from pathlib import Path

from tqdm import tqdm

from tagseg.datasets.images import write_labels
from tagseg.datasets.index import read_index
from tagseg.progress import rate
from tagseg.store import ShardSet


def run(labels: list[Path], tags: Path, output: Path, *, split: str | None) -> None:
    """Write `output/ID.png` for each image (of one split); the folder appears whole or not at all."""
    maps = ShardSet(labels, "labels")
    records = read_index(tags, split)
    temporary = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        temporary.mkdir(parents=True)
        with rate("images", len(records)):
            for record in tqdm(records, unit="image", disable=None):
                write_labels(temporary / f"{record.id}.png", maps.get(record.id, "mask"))
        shutil.rmtree(output, ignore_errors=True)
        temporary.replace(output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
