"""The tags of a tree in VOC's form: the classes in masks, the objects in annotations, or a table."""

import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from tagseg.config.data import VocData
from tagseg.datasets.class_names import ClassNames
from tagseg.datasets.folder_names import image_id
from tagseg.datasets.tag_tables import read_tags
from tagseg.datasets.voc_annotations import nearest, object_names
from tagseg.datasets.voc_masks import read_mask
from tagseg.errors import TagsegError
from tagseg.images.palette import IGNORE

log = logging.getLogger(__name__)
_VOC_NAME = re.compile(r"20\d\d_\d+")  # what VOC calls its photographs
_NAMED = 8  # classes in a message


def annotation_path(data: VocData, name: str) -> Path:
    """Where the annotation of an image lies."""
    return data.root / "Annotations" / f"{name}.xml"


def look_for_other_classes(data: VocData, classes: ClassNames, names: list[str]) -> None:
    """Raise TagsegError if `classes` are VOC's for want of others, but the annotations name other objects."""
    if classes.source:
        return
    where: dict[str, Path] = {}
    annotated = False
    for name in names:
        path = annotation_path(data, name)
        if path.is_file():
            annotated = True
            try:
                found = object_names(path)
            except TagsegError:  # told where it counts: if tags are read from it
                continue
            for one in found:
                where.setdefault(one, path)
    strange = [one for one in where if one not in classes.names]
    if strange:
        close = nearest(strange[0], classes.names)
        meant = f" (or, where {close!r} is meant, write that)" if close else ""
        raise TagsegError(
            f"{where[strange[0]]}: object {strange[0]!r} is none of VOC's classes, and no others are named; set "
            f"data.classes to yours, in the order of the masks' labels: {_some(sorted(where))}{meant}"
        )
    if not annotated and not all(_VOC_NAME.fullmatch(name) for name in names):
        log.warning("%s: nothing names its classes: taken as VOC's twenty; if not, set data.classes", data.root)


def tag_reader(data: VocData, classes: ClassNames) -> Callable[[str], tuple[str, ...]]:
    """The function that gives the tags of an image by its name."""
    if data.tags == "table":
        return _table_reader(Path(data.tags_table), classes)
    if data.tags == "annotations":
        return lambda name: _of_annotation(annotation_path(data, name), classes)
    return lambda name: _of_mask(data, classes, name)


def _of_mask(data: VocData, classes: ClassNames, name: str) -> tuple[str, ...]:
    mask = read_mask(data, classes, name)
    return tuple(classes.names[label - 1] for label in np.unique(mask) if label not in (0, IGNORE))


def _of_annotation(path: Path, classes: ClassNames) -> tuple[str, ...]:
    names = object_names(path)
    for name in names:
        if name not in classes.names:
            raise TagsegError(f"{path}: object {name!r} {_not_among(name, classes)}")
    return tuple(name for name in classes.names if name in names)


def _table_reader(path: Path, classes: ClassNames) -> Callable[[str], tuple[str, ...]]:
    """Tags of a table. Raises TagsegError for an unknown class, a doubled image, or one not in it."""
    if not path.is_file():
        raise TagsegError(f"{path}: no such file; set data.tags_table to a CSV file of columns image,tags")
    table = read_tags(path, classes.names)
    if table.faults:
        raise TagsegError(str(table.faults[0]))
    tags: dict[str, tuple[str, ...]] = {}
    for row in table.rows:
        new = image_id(row.image)
        unknown = sorted(set(row.tags) - set(classes.names))
        if unknown:
            raise TagsegError(f"{path}:{row.line}: tag {unknown[0]!r} {_not_among(unknown[0], classes)}")
        if new in tags:
            raise TagsegError(f"{path}:{row.line}: image {new!r} was named before; keep one line for each image")
        tags[new] = tuple(name for name in classes.names if name in row.tags)

    def read(name: str) -> tuple[str, ...]:
        if image_id(name) not in tags:
            raise TagsegError(f"{path}: no line for image {name!r}; add one, with empty tags if it shows nothing")
        return tags[image_id(name)]

    return read


def _not_among(name: str, classes: ClassNames) -> str:
    close = nearest(name, classes.names)
    place = classes.source or "data.classes, with all others"
    hint = f"did you mean {close!r}?" if close else f"fix the name, or add it to {place}"
    return f"is not among the classes: {_some(classes.names)}; {hint}"


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
