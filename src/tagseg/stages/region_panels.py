"""Draw regions.png: crisp boundaries, contour maps, and regions at rising thresholds."""

from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.ndimage import maximum_filter

from tagseg.config.arguments import OneSplit, Output, Tags
from tagseg.config.masks import CrispSettings
from tagseg.datasets.index import ImageRecord, evenly, read_index
from tagseg.errors import TagsegError
from tagseg.figures.grid import Cell, image_grid
from tagseg.figures.panels import heat_panel, image_panel, region_panel
from tagseg.images.files import read_image
from tagseg.runtime.crisp_regions import find_boundaries
from tagseg.runtime.pictures import write_figure

_THRESHOLDS = (0.05, 0.1, 0.2)


def run(
    tags: Tags,
    output: Output,
    settings: CrispSettings,
    *,
    split: OneSplit = None,
    count: Annotated[int, Field(ge=1, description="Images")] = 6,
) -> None:
    """Draw the crisp boundaries, contour map and regions of a few images.

    `count` images are spread evenly over the split. Columns: image, boundaries, contour map, regions at thresholds
    0.05, 0.1 and 0.2. Raises TagsegError if the split has no image.
    """
    records = read_index(tags, split)
    if not records:
        raise TagsegError(f"{tags}: no image of split {split}; name one that it has")
    rows = [(record.id, _cells(record, settings)) for record in evenly(records, count)]
    write_figure(image_grid(rows), output)


def _cells(record: ImageRecord, settings: CrispSettings) -> list[Cell]:
    image = read_image(record.path)
    crisp = find_boundaries(image, settings)
    return [
        ("image", image_panel(image)),
        ("boundaries", heat_panel(np.minimum(crisp.boundaries, 1))),
        ("contour map", heat_panel(maximum_filter(crisp.ucm, 3))),  # a line of one pixel would hardly be visible
        *((f"regions at {threshold}", region_panel(image, crisp.regions(threshold))) for threshold in _THRESHOLDS),
    ]
