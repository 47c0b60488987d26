"""Name the truth mask of each image. Evaluation alone reads the result; no stage before it may."""

import logging
from pathlib import Path

from tagseg.config import FolderData, VocData
from tagseg.datasets.index import read_index, write_ground_truth
from tagseg.datasets.layouts import LAYOUTS

log = logging.getLogger(__name__)


def run(data: FolderData | VocData, tags: Path, output: Path) -> None:
    """Write `ground_truth.csv`: id -> mask path, for the images of `tags.csv` that have one."""
    records = read_index(tags)
    masks = LAYOUTS[data.kind].truth(data, records)
    write_ground_truth(output, masks)
    log.info("%d of %d images have a truth mask", len(masks), len(records))
