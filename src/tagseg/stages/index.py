"""Index a data set: what is there, how large, tagged with what."""

import logging
from pathlib import Path

from tagseg.config_data import DiskData
from tagseg.datasets.images import require_size
from tagseg.datasets.index import write_classes, write_index
from tagseg.datasets.layouts import LAYOUTS

log = logging.getLogger(__name__)


def run(data: DiskData, output: Path, classes: Path) -> None:
    """Write `tags.csv` and `classes.txt`. Every image is decoded once, so a broken one is named here."""
    names, records = LAYOUTS[data.kind].index(data)
    for record in records:
        require_size(record.path, record.width, record.height)
    write_classes(classes, names)
    write_index(output, records)
    for split in sorted({record.split for record in records}):
        tags = [len(record.tags) for record in records if record.split == split]
        log.info("%s: %d images, %.2f tags an image", split, len(tags), sum(tags) / len(tags))
    if not any(record.split == "train" for record in records):
        log.warning("no image has split train: there is nothing to train on")
