"""Draw truth masks as indexed PNG files, where a data set has them in another form. For evaluation only."""

from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.atomic import atomic_folder
from tagseg.config.arguments import WRITTEN, Index
from tagseg.config.data import CocoData, VocData, YoutubeObjectsData
from tagseg.datasets.index import read_index
from tagseg.datasets.layouts import LAYOUTS
from tagseg.errors import TagsegError
from tagseg.images.files import write_labels
from tagseg.images.marks import TRUTH


def run(
    data: VocData | CocoData | YoutubeObjectsData,
    tags: Index,
    output: Annotated[Path, WRITTEN, Field(description="Folder of masks to write")],
) -> None:
    """Draw the truth masks of a data set that does not have them as PNG files.

    They are `output/ID.png` for the images of `tags.csv`. The folder appears complete or not at all. Raises TagsegError
    if a mask has another size than its photograph.
    """
    render = LAYOUTS[data.kind].render
    if render is None:
        raise TagsegError(f"{data.kind}: its truth is PNG masks already; leave render-truth out")
    bar = partial(tqdm, unit="mask", disable=None)
    records = {record.id: record for record in read_index(tags)}
    with atomic_folder(output, TRUTH) as folder:
        for image_id, labels in bar(render(data, list(records.values()))):
            record = records[image_id]
            if labels.shape != (record.height, record.width):
                raise TagsegError(
                    f"{record.path}: {record.width} x {record.height} pixels, its truth {labels.shape[1]} x "
                    f"{labels.shape[0]}; use the photograph that was annotated"
                )
            write_labels(folder / f"{image_id}.png", labels, TRUTH)
