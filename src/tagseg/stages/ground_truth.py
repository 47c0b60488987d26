"""List the truth mask of each image. Only evaluation reads the list."""

import logging
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tagseg.config.arguments import Index, Named, Output
from tagseg.config.data import DiskData
from tagseg.datasets.checks import Checks
from tagseg.datasets.index import read_classes, read_index, write_ground_truth
from tagseg.datasets.layouts import LAYOUTS
from tagseg.datasets.truth_checks import survey_truth

log = logging.getLogger(__name__)


def run(
    data: DiskData,
    tags: Index,
    output: Output,
    *,
    rendered: Annotated[Path | None, Field(description="Folder that tagseg render-truth wrote")] = None,
    classes: Annotated[
        Path | None, Named("classes-file"), Field(description="classes.txt; by default that beside the index")
    ] = None,
) -> None:
    """List the truth mask of each image of `tags.csv` that has one, in `ground_truth.csv`.

    `rendered` holds masks `ID.png` that `render-truth` drew; they come before the data set's own. `classes` is by
    default `classes.txt` beside `tags.csv`. The data set's own masks are checked again, as they may have been replaced
    since the index was made. Raises TagsegError naming the first that cannot be compared.
    """
    records, layout = read_index(tags), LAYOUTS[data.kind]
    masks = layout.truth(data, records)
    if rendered is not None:
        drawn = {record.id: rendered / f"{record.id}.png" for record in records}
        masks |= {image_id: path for image_id, path in drawn.items() if path.is_file()}
    names = read_classes(classes or tags.with_name("classes.txt"))[1:]
    own = [file for file in layout.truth_files(data, records, names) if masks.get(file.record.id) == file.path]
    for doubt in survey_truth(own, names, Checks(), layout.white).doubts() if own else []:
        log.warning("masks: %s", doubt)
    write_ground_truth(output, masks, {file.record.id: file.foreground for file in own if file.foreground})
    log.info("%d of %d images have a truth mask", len(masks), len(records))
