"""A sheet of training photographs under their masks."""

from pathlib import Path
from textwrap import shorten

import numpy as np
from PIL import Image

from tagseg.datasets.images import read_image
from tagseg.datasets.index import read_classes, read_index
from tagseg.errors import TagsegError
from tagseg.figures.preview import preview_figure
from tagseg.loading import resized
from tagseg.pictures import write_figure
from tagseg.store import ShardSet

_SIDE = 320  # pixels of a photograph on the sheet
_LETTERS = 44  # of its tags, so that neighbours do not overlap


def run(labels: list[Path], tags: Path, classes: Path, output: Path, *, count: int) -> None:
    """Write a picture of `count` of the tagged training photographs, spread evenly, each named and with its tags.

    Raises TagsegError if no training photograph has a tag.
    """
    maps, names = ShardSet(labels, "labels"), read_classes(classes)
    tagged = [record for record in read_index(tags, "train") if record.tags]
    if not tagged:
        raise TagsegError(f"{tags}: no training photograph has a tag; there is no mask to show")
    places = np.unique(np.linspace(0, len(tagged) - 1, count).round().astype(int))
    chosen = [tagged[i] for i in places]
    images = [np.asarray(resized(Image.fromarray(read_image(record.path)), _SIDE)) for record in chosen]
    small = [
        np.asarray(resized(Image.fromarray(maps.get(record.id, "mask")), _SIDE, Image.Resampling.NEAREST))
        for record in chosen
    ]
    titles = [f"{record.id}\n{shorten(', '.join(record.tags), _LETTERS, placeholder=' ...')}" for record in chosen]
    write_figure(preview_figure(images, small, titles, names), output)
