"""Read annotation files in COCO's format, leniently, as many tools write them; refuse others in one line."""

import json
import logging
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tagseg.config.data import class_names_fault
from tagseg.config.names import plain
from tagseg.datasets.index import BACKGROUNDS
from tagseg.datasets.json_formats import recognise
from tagseg.datasets.texts import unique_keys
from tagseg.errors import TagsegError, read_error

log = logging.getLogger(__name__)

Id = int | str
_PARTS = ("images", "categories", "annotations")
_NEEDS = "it needs images, categories, and annotations with an image_id and a category_id"
_ROOTS = (None, "", "none", "None")  # how a category says that it has no supercategory
_NAMES = ("file_name", "coco_url", "url", "path")  # keys that may hold an image's name, the best first
_WHOLE = re.compile(r"-?\d{1,18}(\.0+)?")
_LONGEST = 100  # characters of an id or name in a message
_YES = (1, "1", "true", "True")


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An image: its id and name as written, and its size in pixels, None if the file does not state it."""

    id: Id
    name: str
    width: int | None
    height: int | None


@dataclass(frozen=True, slots=True)
class CocoObject:
    """An annotation: its id (or position in the file), category, outline in any of COCO's formats, and crowd flag.

    The outline is None if the file has only a box, or nothing.
    """

    id: Id
    category: Id
    outline: Any
    crowd: bool


@dataclass(frozen=True)
class _Category:
    id: Id
    name: str
    parent: Any


@dataclass(frozen=True)
class CocoFile:
    """The content of an annotation file: category names by ascending id, images, and the objects by image id."""

    path: Path
    categories: dict[Id, str]
    images: list[CocoImage]
    objects: dict[Id, list[CocoObject]]


def read_coco(path: Path) -> CocoFile:
    """Read an annotation file.

    Ids are numbers or text; 1, 1.0 and "1" are the same id. A category without annotations is left out if it is the
    background, or serves only as the others' `supercategory`. An image listed twice with the same name counts once.
    Raises TagsegError naming the file and what is wrong with it; for another format, what it seems to be.
    """
    content = _loaded(path)
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in _PARTS):
        _refuse_other(path, content)
    images = [_image(path, place, entry) for place, entry in enumerate(content["images"], start=1)]
    given = [_category(path, place, entry) for place, entry in enumerate(content["categories"], start=1)]
    images = _each_once(path, images)
    known, named = {image.id for image in images}, {category.id for category in given}
    objects: dict[Id, list[CocoObject]] = defaultdict(list)
    used = set()
    for place, entry in enumerate(content["annotations"], start=1):
        image, found = _object(path, place, entry)
        if image not in known:
            raise TagsegError(
                f"{path}: annotation {shown(found.id)} is of image {shown(image)}, which the file lacks; drop it"
            )
        if found.category not in named:
            raise TagsegError(
                f"{path}: annotation {shown(found.id)} is of category {shown(found.category)}, which the file lacks; "
                "add the category or drop the annotation"
            )
        used.add(found.category)
        objects[image].append(found)
    kept = [category for category in given if category.id in used or not _is_no_class(category, given)]
    if len(kept) < len(given):
        dropped = [shown(category.name) for category in given if category not in kept]
        log.info("%s: left out, since it has no object and is no class of its own: %s", path, ", ".join(dropped))
    kept.sort(key=lambda category: order(category.id))
    _check_names(path, kept)
    return CocoFile(path, {category.id: category.name for category in kept}, images, dict(objects))


def order(given: Id) -> tuple[bool, Id]:
    """Sort key of ids: numbers first, then text."""
    return isinstance(given, str), given


def shown(value: Id) -> str:
    """An id or a name as shown in messages: text in quotes, on one line, shortened if long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _loaded(path: Path) -> Any:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such file; set data.train and data.val to instances_*.json files") from None
    except OSError as error:
        raise (read_error(error, path) or error) from None
    try:
        return json.loads(text, object_pairs_hook=unique_keys(path))
    except RecursionError:
        raise TagsegError(f"{path}: not a readable JSON file (nested too deep); replace it") from None
    except ValueError as error:
        if str(error).startswith("Extra data") and _is_lines(text):
            raise TagsegError(
                f"{path}: not an instances_*.json file of COCO, but JSON lines, a document a line; export it as one "
                "COCO JSON"
            ) from None
        raise TagsegError(f"{path}: not a readable JSON file ({error}); replace it") from None


def _is_lines(text: bytes) -> bool:
    try:
        return all(isinstance(json.loads(line), dict | list) for line in text.split(b"\n", 2)[:2])
    except (ValueError, RecursionError):
        return False


def _refuse_other(path: Path, content: Any) -> NoReturn:
    what = recognise(content)
    if what:
        raise TagsegError(f"{path}: not an instances_*.json file of COCO, but {what}")
    missing = next(part for part in _PARTS if not isinstance(content.get(part), list))
    raise _wrong(path, f"{missing!r} is {'not a list' if missing in content else 'missing'}")


def _wrong(path: Path, what: str) -> TagsegError:
    return TagsegError(f"{path}: not an instances_*.json file of COCO ({what}); {_NEEDS}")


def _id(value: Any) -> Id | None:
    """An id, normalised to an int if it is a whole number; None if the value cannot be an id."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value.is_integer() else None
    text = value.strip() if isinstance(value, str) else ""
    return int(text.split(".")[0]) if _WHOLE.fullmatch(text) else text or None


def _needed(path: Path, what: str, entry: Any, key: str) -> Id:
    """A required id of an entry."""
    if not isinstance(entry, dict):
        raise _wrong(path, f"{what} is not an object")
    found = _id(entry.get(key))
    if found is None:
        raise _wrong(path, f"{what} has {'no' if key not in entry else 'an unreadable'} {key!r}")
    return found


def _image(path: Path, place: int, entry: Any) -> CocoImage:
    number = _needed(path, f"image {place} of the list", entry, "id")
    written = (entry.get(key) for key in _NAMES)
    name = next((text.strip() for text in written if isinstance(text, str) and text.strip()), "")
    if not name:
        raise _wrong(path, f"image {shown(number)} has no 'file_name'")
    return CocoImage(number, name, _size(entry.get("width")), _size(entry.get("height")))


def _size(value: Any) -> int | None:
    """A size in pixels; None if it is unknown: null, 0, -1, text without a number."""
    found = _id(value)
    return found if isinstance(found, int) and found > 0 else None


def _each_once(path: Path, images: list[CocoImage]) -> list[CocoImage]:
    seen: dict[Id, CocoImage] = {}
    for image in images:
        other = seen.setdefault(image.id, image)
        if other.name != image.name:
            raise TagsegError(
                f"{path}: images {shown(other.name)} and {shown(image.name)} have one id, {shown(image.id)}; "
                "give each its own"
            )
    return list(seen.values())


def _category(path: Path, place: int, entry: Any) -> _Category:
    number = _needed(path, f"category {place} of the list", entry, "id")
    name = entry.get("name")
    if isinstance(name, int | float) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str) or not plain(name):
        raise TagsegError(f"{path}: category {shown(number)} has no name; give it one")
    parent = entry.get("supercategory")
    return _Category(number, plain(name), plain(parent) if isinstance(parent, str) else parent)


def _object(path: Path, place: int, entry: Any) -> tuple[Id, CocoObject]:
    """The image's id, and the object."""
    number = _id(entry.get("id")) if isinstance(entry, dict) else None
    number = place if number is None else number
    image = _needed(path, f"annotation {shown(number)}", entry, "image_id")
    category = _needed(path, f"annotation {shown(number)}", entry, "category_id")
    crowd = entry.get("iscrowd")
    return image, CocoObject(
        number, category, _outline(entry.get("segmentation")), isinstance(crowd, int | float | str) and crowd in _YES
    )


def _outline(given: Any) -> Any:
    """An outline as written; None for an empty one, which tools write beside a box."""
    empty = not given or (isinstance(given, list) and all(part in ([], {}, None) for part in given))
    return None if empty else given


def _is_no_class(category: _Category, given: list[_Category]) -> bool:
    """Whether an unused category is the background, or the root of the others."""
    children = [other for other in given if other.id != category.id and other.parent == category.name]
    return category.name in BACKGROUNDS or (bool(children) and category.parent in _ROOTS)


def _check_names(path: Path, categories: list[_Category]) -> None:
    numbers: set[Id] = set()
    for category in categories:
        if category.name in BACKGROUNDS:
            raise TagsegError(
                f"{path}: a category is called {shown(category.name)}, the class of every image; rename it"
            )
        if category.id in numbers:
            raise TagsegError(f"{path}: category {shown(category.id)} is there twice; keep one")
        numbers.add(category.id)
    if not categories:
        raise TagsegError(f"{path}: no category in it; add the classes under 'categories'")
    if what := class_names_fault([category.name for category in categories]):
        raise TagsegError(f"{path}: {what}")
