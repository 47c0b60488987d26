"""Shared by the stages that draw: figures as PNG and SVG files, names of classes, the panel of class maps."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tagseg.artifacts.atomic import atomic
from tagseg.artifacts.shard_sets import ShardSet
from tagseg.datasets.index import ImageRecord
from tagseg.errors import TagsegError
from tagseg.figures.encoding import FORMATS, figure_bytes
from tagseg.figures.letters import in_pictures, key_to
from tagseg.figures.panels import Panel, class_maps_panel
from tagseg.images.resize import resize_map

log = logging.getLogger(__name__)


def display_names(classes: Sequence[str]) -> dict[str, str]:
    """How figures name each class, in the order of the labels: by its name, or by a number that the log explains."""
    key = key_to(classes)
    if key:
        log.warning("%s", key)
    return in_pictures(classes)


def write_figure(figure: Figure, *outputs: Path) -> None:
    """Write a figure to files, each in the format of its suffix; equal figures give equal bytes.

    Raises TagsegError if a suffix is not that of a supported format.
    """
    check_suffixes(outputs)
    for output in outputs:
        with atomic(output) as temporary:
            temporary.write_bytes(figure_bytes(figure, FORMATS[output.suffix.lower()]))


def check_suffixes(outputs: Sequence[Path]) -> None:
    """Raise TagsegError if a suffix is not that of a supported format: to be called before minutes of work."""
    for output in outputs:
        if output.suffix.lower() not in FORMATS:
            raise TagsegError(f"{output}: a picture is one of {', '.join(FORMATS)}; give it such a suffix")


def stored_class_maps(shards: ShardSet, record: ImageRecord, name: str) -> Panel:
    """The panel of the maps `name` in a shard, (C, h, w) in [0, 1] beside `labels` (C,), at the size of the image."""
    size = record.height, record.width
    maps = [resize_map(values, size) for values in shards.get(record.id, name)]
    return class_maps_panel(np.array(maps).reshape(-1, *size), shards.get(record.id, "labels"))
