"""Read tags from JSON: an object of lists by image, a list of objects, or one object per line."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tagseg.datasets.checks import Fault
from tagseg.datasets.texts import unique_keys
from tagseg.errors import TagsegError

SUFFIXES = (".json", ".jsonl", ".ndjson")
FORM = '{"beach.jpg": ["dog", "person"]} or [{"image": "beach.jpg", "tags": ["dog"], "split": "val"}]'


def json_entries(path: Path, text: str, faults: list[Fault]) -> Iterator[tuple[int, str, list[str], str]]:
    """(line, image, tags, split) of each valid entry; the line is the one on which it begins.

    Keys may be in any case. Faults of single entries go to `faults`. Raises TagsegError naming file and line for text
    that is not JSON, and for JSON with another structure.
    """
    for line, entry in _entries(path, text):
        if isinstance(entry, dict):
            doubled = [key for key, count in Counter(map(str.lower, entry)).items() if count > 1]
            entry = {key.lower(): value for key, value in entry.items()}
        else:
            doubled = []
        what = f"key {doubled[0]!r} twice in an entry" if doubled else _wrong_entry(entry)
        if what:
            image = entry.get("image") if isinstance(entry, dict) else ""
            faults.append(Fault(path, line, str(image or ""), what, f"write {FORM}"))
        else:
            yield line, entry["image"], entry["tags"], entry.get("split") or ""


def _entries(path: Path, text: str) -> list[tuple[int, Any]]:
    """Each entry with its line; the members of an object of lists by image become objects with image and tags."""
    if _is_lines(text):
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        return [(number, _loaded(path, line, number)) for number, line in lines]
    content = _loaded(path, text, 1, unique=False)  # an image that is there twice is a fault of its own
    if not isinstance(content, list | dict):
        raise TagsegError(f"{path}: neither an object nor a list; write {FORM}")
    values = list(_values(path, text))
    if isinstance(content, list):
        return values
    pairs = zip(values[::2], values[1::2], strict=True)
    return [(line, {"image": image, "tags": tags}) for (line, image), (_, tags) in pairs]


def _is_lines(text: str) -> bool:
    """Whether the first line by itself is an object with an image: then every line is one."""
    first = text.lstrip().partition("\n")[0]
    try:
        entry = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(entry, dict) and any(key.lower() == "image" and isinstance(entry[key], str) for key in entry)


def _loaded(path: Path, text: str, first: int, *, unique: bool = True) -> Any:
    """Parse JSON that begins on line `first` of the file; `unique`: refuse an object that has a key twice."""
    try:
        return json.loads(text, object_pairs_hook=unique_keys(f"{path}:{first}") if unique else None)
    except ValueError as error:
        line = first - 1 + getattr(error, "lineno", 1)
        raise TagsegError(f"{path}:{line}: not JSON ({getattr(error, 'msg', error)}); write {FORM}") from None
    except RecursionError:
        raise TagsegError(f"{path}: not a table of tags, but JSON that is nested too deep; write {FORM}") from None


def _wrong_entry(entry: Any) -> str:
    """What is wrong with an entry; '' if nothing is."""
    if not isinstance(entry, dict):
        return f"{type(entry).__name__} in place of an entry"
    if not isinstance(entry.get("image"), str):
        return "an entry without an image"
    tags = entry.get("tags")
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        return f"tags of {entry['image']!r} are not a list of names"
    if not isinstance(entry.get("split") or "", str):
        return f"split of {entry['image']!r} is not a word"
    return ""


def _values(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """The values in the outermost list or object of valid JSON (keys and values in turn), each with its line."""
    gap = re.compile(r"[\s,:]*")
    at, line = 0, 1
    position = len(text) - len(text.lstrip()) + 1
    while found := gap.match(text, position):
        position = found.end()
        if text[position] in "]}":
            return
        line += text.count("\n", at, position)
        at = position
        decoder = json.JSONDecoder(object_pairs_hook=unique_keys(f"{path}:{line}"))
        value, position = decoder.raw_decode(text, position)
        yield line, value
