"""Draw masks/{prior}-{crf}-preview.png: training photographs under their masks."""

from typing import Annotated

from pydantic import Field

from tagseg.artifacts.shard_sets import ShardSet
from tagseg.config.arguments import Classes, Files, Output, Tags
from tagseg.datasets.index import evenly, read_classes, read_index
from tagseg.errors import TagsegError
from tagseg.figures.grid import LARGE_CELL, Cell, image_grid
from tagseg.figures.panels import label_overlay_panel
from tagseg.images.files import read_image
from tagseg.runtime.pictures import display_names, write_figure

_COLUMNS = 4


def run(
    labels: Files,
    tags: Tags,
    classes: Classes,
    output: Output,
    *,
    count: Annotated[int, Field(ge=1, description="Photographs on it")] = 24,
) -> None:
    """Draw a sheet of training photographs under their masks, each with its id and tags.

    `count` of those that have a tag are spread evenly over `tags.csv`. Raises TagsegError if none has one.
    """
    masks, shown = ShardSet(labels, "labels"), display_names(read_classes(classes))
    tagged = [record for record in read_index(tags, "train") if record.tags]
    if not tagged:
        raise TagsegError(f"{tags}: no training photograph has a tag; there is no mask to show")
    cells: list[Cell] = [
        (
            f"{record.id}\n{', '.join(shown[tag] for tag in record.tags)}",
            label_overlay_panel(read_image(record.path), masks.get(record.id, "labels")),
        )
        for record in evenly(tagged, count)
    ]
    write_figure(image_grid([("", cells)], list(shown.values()), columns=_COLUMNS, cell=LARGE_CELL), output)
