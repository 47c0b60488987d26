"""Make the scenes of the built-in demo: a folder of images and a table of tags, with the exact masks kept apart."""

from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field
from tqdm import tqdm

from tagseg.config.arguments import WRITTEN
from tagseg.config.data import ShapesData
from tagseg.datasets.shapes import write_scenes


def run(
    images: Annotated[Path, WRITTEN, Field(description="Folder of scenes to write")],
    masks: Annotated[Path, WRITTEN, Field(description="Folder of exact masks to write")],
    tags: Annotated[Path, WRITTEN, Field(description="tags.csv (image,tags,split) to write")],
    data: ShapesData,
) -> None:
    """Make the scenes of the built-in demo from a seed.

    Writes the folders `images` and `masks`, and the table `tags` (image,tags,split).
    """
    bar = partial(tqdm, unit="scene", disable=None)
    write_scenes(images, masks, tags, seed=data.seed, train=data.train, val=data.val, size=data.size, progress=bar)
