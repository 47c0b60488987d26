"""Make the embedded demo's scenes: an own folder of images and tags, with the exact masks kept apart."""

from functools import partial
from pathlib import Path

from tqdm import tqdm

from tagseg.config.data import ShapesData
from tagseg.datasets.shapes import write_scenes


def run(images: Path, masks: Path, tags: Path, data: ShapesData) -> None:
    """Write `images/`, `masks/` and `tags.csv` (image,tags,split) from the world's seed."""
    bar = partial(tqdm, unit="scene", disable=None)
    write_scenes(images, masks, tags, seed=data.seed, train=data.train, val=data.val, size=data.size, progress=bar)
