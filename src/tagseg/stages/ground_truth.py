"""Name the truth mask of each image. Evaluation alone reads the result; no stage before it may."""

import logging
from pathlib import Path

from tagseg.config_data import DiskData
from tagseg.datasets.index import read_index, write_ground_truth
from tagseg.datasets.layouts import LAYOUTS

log = logging.getLogger(__name__)


def run(data: DiskData, tags: Path, output: Path, *, rendered: Path | None = None) -> None:
    """Write `ground_truth.csv`: id -> mask path, for the images of `tags.csv` that have one.

    `rendered` holds masks `ID.png` that `render-truth` drew; where there is one, it is the image's.
    """
    records = read_index(tags)
    masks = LAYOUTS[data.kind].truth(data, records)
    if rendered is not None:
        drawn = {record.id: rendered / f"{record.id}.png" for record in records}
        masks |= {image_id: path for image_id, path in drawn.items() if path.is_file()}
    write_ground_truth(output, masks)
    log.info("%d of %d images have a truth mask", len(masks), len(records))
