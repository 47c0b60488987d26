"""Make the embedded demo's scenes: an own folder of images and tags, with the exact masks kept apart."""

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
    """Make the embedded demo's scenes from a seed.

    Write `images/`, `masks/` and `tags.csv` (image,tags,split) from the world's seed.
    """
    bar = partial(tqdm, unit="scene", disable=None)
    write_scenes(images, masks, tags, seed=data.seed, train=data.train, val=data.val, size=data.size, progress=bar)
