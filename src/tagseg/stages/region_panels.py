"""The picture of crisp regions: a few images, their boundaries, contour maps, and regions at rising thresholds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import maximum_filter

from tagseg.config import CrispSettings
from tagseg.datasets.images import read_image
from tagseg.datasets.index import read_index
from tagseg.errors import TagsegError
from tagseg.figures.panels import picture_grid
from tagseg.figures.regions import paint_regions
from tagseg.pictures import write_figure
from tagseg.regions import MODES, crisp_boundaries

_THRESHOLDS = (0.05, 0.1, 0.2)


def run(tags: Path, output: Path, settings: CrispSettings, *, split: str | None, count: int) -> None:
    """Write the picture for `count` images spread evenly over the split. Raises TagsegError if it has none."""
    records = read_index(tags, split)
    if not records:
        raise TagsegError(f"{tags}: no image of split {split}; name one that it has")
    chosen = [records[i] for i in np.unique(np.linspace(0, len(records) - 1, count).round().astype(int))]
    parameters = replace(MODES[settings.mode], longest_side=settings.longest_side)
    rows = []
    for record in chosen:
        image = read_image(record.path)
        crisp = crisp_boundaries(image, seed=settings.seed, parameters=parameters)
        painted = [paint_regions(image, crisp.regions(threshold)) for threshold in _THRESHOLDS]
        lines = maximum_filter(crisp.ucm, 3)  # one pixel would not be seen
        rows.append([image, np.minimum(crisp.boundaries, 1), lines, *painted])
    columns = ["image", "boundaries", "contour map", *(f"regions at {threshold}" for threshold in _THRESHOLDS)]
    figure = picture_grid(columns, rows, [record.id for record in chosen])
    write_figure(figure, output)
