"""Tags as people keep them: a CSV or TSV table, a JSON file, or folders that are called like the class in them."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagseg.datasets.checks import Fault
from tagseg.datasets.index import BACKGROUND, read_utf8
from tagseg.datasets.photographs import Photographs
from tagseg.errors import TagsegError

SPLITS = ("train", "val", "test")
_REMEDY_CSV = "write image,tags[,split], with the tags of an image in one cell, separated by ;"
_FORM_JSON = '{"beach.jpg": ["dog", "person"]} or [{"image": "beach.jpg", "tags": ["dog"], "split": "val"}]'


@dataclass(frozen=True)
class TagRow:
    """What a table says of one image.

    `image` as it is written there: a path under the folder of photographs, with or without its suffix. `tags` sorted,
    each once; `split` train where none is given; `file` and `line` are where this stands (line 0: it has no line).
    """

    image: str
    tags: tuple[str, ...]
    split: str
    file: Path
    line: int


@dataclass
class TagTable:
    """The rows that can be used, and what is wrong with the others."""

    rows: list[TagRow] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def read_tags(path: Path) -> TagTable:
    """Rows of a table of tags: `.json`, or else CSV or TSV with a header that has image, tags and perhaps split.

    Header names may be in any case, and of other columns there may be any. JSON is an object of lists of tags by image,
    or a list of objects with image, tags and perhaps split. Raises TagsegError naming the file (and line) if it is
    missing, no UTF-8 text, or has another form as a whole; what is wrong with single rows is among the faults.
    """
    text = read_utf8(path)
    table = TagTable()
    for line, image, tags, split in (_json if path.suffix.lower() == ".json" else _csv)(path, text, table.faults):
        row = TagRow(image.strip(), tuple(sorted({tag.strip() for tag in tags} - {""})), _split(split), path, line)
        faults = [Fault(path, line, row.image, what, remedy) for what, remedy in _faults_of(row)]
        if faults:
            table.faults += faults
        else:
            table.rows.append(row)
    return table


def read_class_folders(photographs: Photographs) -> TagTable:
    """A row for each photograph in a folder: CLASS/..., or, if there are no other folders, train|val|test/CLASS/...

    Photographs outside of such a folder have no row. A class folder without photographs is a fault.
    """
    table = TagTable()
    paths = sorted(photographs.paths)
    tops = {name.split("/")[0] for name in paths if "/" in name}
    depth = 1 if tops and tops <= set(SPLITS) else 0
    used = set()
    for name in paths:
        parts = name.split("/")
        if len(parts) < depth + 2:
            continue
        used.add("/".join(parts[: depth + 1]))
        file = photographs.paths[name]
        row = TagRow(name, (parts[depth],), parts[0] if depth else "train", file, 0)
        faults = [Fault(file, 0, name, what, remedy) for what, remedy in _faults_of(row)]
        table.faults += faults
        if not faults:
            table.rows.append(row)
    for folder in photographs.folders:
        if folder.count("/") == depth and folder not in used:
            table.faults.append(
                Fault(photographs.folder / folder, 0, "", "no photograph in this class folder", "add some or remove it")
            )
    return table


def _split(given: str) -> str:
    text = given.strip() or "train"
    return text.lower() if text.lower() in SPLITS else text


def _faults_of(row: TagRow) -> Iterator[tuple[str, str]]:
    """What is wrong with a row by itself, and the remedy."""
    if not row.image:
        yield "no image ''", "add its name or drop the line"
    elif row.image.encode("utf-8", "replace").decode() != row.image:
        yield f"image {row.image!r} has a name that is no UTF-8", "rename the file"
    elif Path(row.image).is_absolute() or ".." in re.split(r"[/\\]", row.image):
        yield f"image {row.image!r} leads out of the folder of photographs", "write its path below that folder"
    for tag in row.tags:
        if tag == BACKGROUND:
            yield f"tag {BACKGROUND!r} is every image's own class", "take it out of the tags"
        elif not tag.isprintable() or ";" in tag:
            yield f"tag {tag!r} has a line break or another character that no name has", "rename it"
    if not re.fullmatch(r"\w+", row.split):
        yield f"split {row.split!r} is no word", f"use {', '.join(SPLITS)}"


_Given = tuple[int, str, Iterable[str], str]


def _csv(path: Path, text: str, faults: list[Fault]) -> Iterator[_Given]:
    """(line, image, tags, split) of each row that is whole."""
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in first and "," not in first else ",")
    rows = _lines(reader, path, faults)
    header = [name.strip().lower() for name in next(rows, (1, [""]))[1]]
    missing = [name for name in ("image", "tags") if name not in header]
    if missing:
        hint = "; columns are separated by ',' or a tab, not ';'" if "image;" in first.lower() else ""
        raise TagsegError(f"{path}:1: the header lacks {', '.join(missing)}; it needs image,tags{hint}")
    doubled = sorted({name for name in header if header.count(name) > 1 and name})
    if doubled:
        raise TagsegError(f"{path}:1: the header has {doubled[0]!r} twice; keep one such column")
    for line, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) < len(header) or any(cell.strip() for cell in cells[len(header) :]):
            what = f"{len(cells)} cells, but the header has {len(header)}"
            faults.append(Fault(path, line, cells[0].strip(), what, _REMEDY_CSV))
            continue
        row = dict(zip(header, cells, strict=False))
        yield line, row["image"], row["tags"].split(";"), row.get("split", "")


def _lines(reader: Any, path: Path, faults: list[Fault]) -> Iterator[tuple[int, list[str]]]:
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        faults.append(
            Fault(path, reader.line_num, "", f"no CSV from here on ({error})", "close the quote, or save anew")
        )


def _json(path: Path, text: str, faults: list[Fault]) -> Iterator[_Given]:
    """(line, image, tags, split) of each entry that has the right form; the line is that on which it begins."""
    try:
        content = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise TagsegError(f"{path}:{line}: no JSON ({getattr(error, 'msg', error)}); write {_FORM_JSON}") from None
    except RecursionError:
        raise TagsegError(f"{path}: no table of tags, but JSON of great depth; write {_FORM_JSON}") from None
    if not isinstance(content, list | dict):
        raise TagsegError(f"{path}: neither an object nor a list; write {_FORM_JSON}")
    values = list(_values(text))
    if isinstance(content, dict):
        pairs = zip(values[::2], values[1::2], strict=True)
        entries = [(line, {"image": image, "tags": tags}) for (line, image), (_, tags) in pairs]
    else:
        entries = values
    for line, entry in entries:
        what = _wrong_entry(entry)
        if what:
            image = entry.get("image") if isinstance(entry, dict) else ""
            faults.append(Fault(path, line, str(image or ""), what, f"write {_FORM_JSON}"))
        else:
            yield line, entry["image"], entry["tags"], entry.get("split") or ""


def _wrong_entry(entry: Any) -> str:
    """What is wrong with the form of an entry, or nothing."""
    if not isinstance(entry, dict):
        return f"{type(entry).__name__} in an entry's place"
    if not isinstance(entry.get("image"), str):
        return "an entry without an image"
    tags = entry.get("tags")
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        return f"tags of {entry['image']!r} are no list of names"
    if not isinstance(entry.get("split") or "", str):
        return f"split of {entry['image']!r} is no word"
    return ""


def _values(text: str) -> Iterator[tuple[int, Any]]:
    """The values in the outermost bracket of valid JSON, of an object key and value in turn, each with its line."""
    decoder, gap = json.JSONDecoder(), re.compile(r"[\s,:]*")
    at, line = 0, 1
    position = len(text) - len(text.lstrip()) + 1
    while found := gap.match(text, position):
        position = found.end()
        if text[position] in "]}":
            return
        line += text.count("\n", at, position)
        at = position
        value, position = decoder.raw_decode(text, position)
        yield line, value
