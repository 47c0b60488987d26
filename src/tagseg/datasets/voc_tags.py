"""Read the tags of a tree in VOC's format: from the classes in masks, the objects in annotations, or a table."""

import difflib
import logging
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from tagseg.config.data import VocData
from tagseg.config.names import plain
from tagseg.datasets.folder_names import image_id
from tagseg.datasets.tag_tables import read_tags
from tagseg.datasets.voc_classes import ClassNames
from tagseg.datasets.voc_masks import read_mask
from tagseg.errors import TagsegError
from tagseg.images.palette import IGNORE

log = logging.getLogger(__name__)
_VOC_NAME = re.compile(r"20\d\d_\d+")  # names of VOC's photographs
_NAMED = 8  # most classes in a message


def annotation_path(data: VocData, name: str) -> Path:
    """The annotation file of an image."""
    return data.root / "Annotations" / f"{name}.xml"


def check_annotated_classes(data: VocData, classes: ClassNames, names: list[str]) -> None:
    """Raise TagsegError if `classes` are VOC's by default, but the annotations name other objects."""
    if classes.source:
        return
    where: dict[str, Path] = {}
    annotated = False
    for name in names:
        path = annotation_path(data, name)
        if path.is_file():
            annotated = True
            try:
                found = _object_names(path)
            except TagsegError:  # reported if tags are read from it
                continue
            for one in found:
                where.setdefault(one, path)
    strange = [one for one in where if one not in classes.names]
    if strange:
        close = _nearest(strange[0], classes.names)
        meant = f" (or, where {close!r} is meant, write that)" if close else ""
        raise TagsegError(
            f"{where[strange[0]]}: object {strange[0]!r} is none of VOC's classes, and no others are named; set "
            f"data.classes to yours, in the order of the masks' labels: {_some(sorted(where))}{meant}"
        )
    if not annotated and not all(_VOC_NAME.fullmatch(name) for name in names):
        log.warning("%s: nothing names its classes: taken as VOC's twenty; if not, set data.classes", data.root)


def _object_names(path: Path) -> list[str]:
    """Names of the objects in an annotation, each once, in order, without parts of objects.

    Its `filename` is ignored: tools do not update it when a file is renamed. Raises TagsegError naming the file if it
    is missing, broken, not an annotation, or has an object without a name.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such annotation; set data.tags to masks, or add the file") from None
    except (ElementTree.ParseError, ValueError, LookupError, OSError) as error:
        raise TagsegError(f"{path}: not a readable annotation ({error}); replace the file") from None
    kind = root.tag.rpartition("}")[2]
    if kind != "annotation":
        raise TagsegError(f"{path}: <{kind}> in the place of <annotation>; export the annotations in Pascal VOC's form")
    names = []
    for found in root.iterfind("{*}object"):
        given = [plain(element.text or "") for element in found.iterfind("{*}name")]
        if not any(given):
            raise TagsegError(f"{path}: an object without a name; name it, or take it out")
        if len(given) > 1:
            raise TagsegError(f"{path}: an object with names {', '.join(given)}; give each an object of its own")
        names += given
    if not names and any(element.tag.rpartition("}")[2].lower() == "object" for element in root.iter()):
        raise TagsegError(f"{path}: objects, but not as <object> in <annotation>; export them in Pascal VOC's form")
    return list(dict.fromkeys(names))


def tag_reader(data: VocData, classes: ClassNames) -> Callable[[str], tuple[str, ...]]:
    """A function that gives the tags of an image by its name. Raises TagsegError if the table cannot be used."""
    if data.tags == "table":
        return _table_reader(Path(data.tags_table), classes)
    if data.tags == "annotations":
        return lambda name: _of_annotation(annotation_path(data, name), classes)
    return lambda name: _of_mask(data, classes, name)


def _of_mask(data: VocData, classes: ClassNames, name: str) -> tuple[str, ...]:
    mask = read_mask(data, classes, name)
    return tuple(classes.names[label - 1] for label in np.unique(mask) if label not in (0, IGNORE))


def _of_annotation(path: Path, classes: ClassNames) -> tuple[str, ...]:
    names = _object_names(path)
    for name in names:
        if name not in classes.names:
            raise TagsegError(f"{path}: object {name!r} {_not_among(name, classes)}")
    return tuple(name for name in classes.names if name in names)


def _table_reader(path: Path, classes: ClassNames) -> Callable[[str], tuple[str, ...]]:
    """Tags from a table. Raises TagsegError for an unknown class, or an image that is listed twice or missing."""
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


def _nearest(name: str, classes: Sequence[str]) -> str:
    """The class that a misspelt name may mean; '' if none is close."""
    folded = {other.casefold(): other for other in classes}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.75)
    return folded[close[0]] if close else ""


def _not_among(name: str, classes: ClassNames) -> str:
    close = _nearest(name, classes.names)
    place = classes.source or "data.classes, with all others"
    hint = f"did you mean {close!r}?" if close else f"fix the name, or add it to {place}"
    return f"is not among the classes: {_some(classes.names)}; {hint}"


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
