"""A Pascal VOC devkit tree: `JPEGImages/`, `ImageSets/Segmentation/`, `Annotations/`, and a folder of masks."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np

from tagseg.config import VocData
from tagseg.datasets.images import image_size, read_labels
from tagseg.datasets.index import ImageRecord, read_utf8
from tagseg.errors import TagsegError
from tagseg.labels import IGNORE

# fmt: off
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car",
    "cat", "chair", "cow", "diningtable", "dog", "horse", "motorbike",
    "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on


def index(data: VocData) -> tuple[list[str], list[ImageRecord]]:
    """The twenty classes and the records of both lists, training images first.

    Tags are read once, here, from the place that `data.tags` names. Raises TagsegError naming what is missing.
    """
    if not (data.root / "JPEGImages").is_dir():
        raise TagsegError(f"{data.root}: no JPEGImages in it; set data.root to the devkit's VOC2012 folder")
    read_tags = _tags_of_annotation if data.tags == "annotations" else _tags_of_mask
    records = []
    for split, path in zip(("train", "val"), sources(data), strict=True):
        for image_id in _list(path):
            photograph = data.root / "JPEGImages" / f"{image_id}.jpg"
            width, height = image_size(photograph)
            records.append(ImageRecord(image_id, split, photograph, width, height, read_tags(data, image_id)))
    ids = [record.id for record in records]
    doubled = sorted({image_id for image_id in ids if ids.count(image_id) > 1}) if len(set(ids)) < len(ids) else []
    if doubled:
        raise TagsegError(f"{data.root}: {doubled[0]} is in {data.train} and {data.val}, or twice in one; list it once")
    return list(CLASSES), records


def truth(data: VocData, records: list[ImageRecord]) -> dict[str, Path]:
    """Masks by id."""
    return {record.id: data.root / data.masks / f"{record.id}.png" for record in records}


def sources(data: VocData) -> list[Path]:
    """The two lists: a new index is made when one changes."""
    return [data.root / "ImageSets" / "Segmentation" / f"{name}.txt" for name in (data.train, data.val)]


def has_truth(data: VocData) -> bool:
    """A devkit always has masks."""
    return True


def _list(path: Path) -> list[str]:
    if not path.is_file():
        raise TagsegError(f"{path}: no such list; set data.train and data.val to lists under ImageSets/Segmentation")
    return read_utf8(path).split()


def _tags_of_mask(data: VocData, image_id: str) -> tuple[str, ...]:
    path = data.root / data.masks / f"{image_id}.png"
    labels = np.unique(read_labels(path))
    unknown = [label for label in labels if len(CLASSES) < label < IGNORE]
    if unknown:
        raise TagsegError(f"{path}: label {unknown[0]}, but there are {len(CLASSES)} classes; mend the mask")
    return tuple(CLASSES[label - 1] for label in labels if label not in (0, IGNORE))


def _tags_of_annotation(data: VocData, image_id: str) -> tuple[str, ...]:
    path = data.root / "Annotations" / f"{image_id}.xml"
    try:
        names = {node.text for node in ElementTree.parse(path).iterfind("object/name")}
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such annotation; set data.tags to masks, or add the file") from None
    except ElementTree.ParseError as error:
        raise TagsegError(f"{path}: not a readable annotation ({error}); replace the file") from None
    return tuple(name for name in CLASSES if name in names)
