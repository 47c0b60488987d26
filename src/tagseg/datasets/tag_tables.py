"""Read tags as people keep them: a CSV or TSV table, a workbook, JSON, or folders named after their class."""

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from tagseg.config.names import nfc, plain, printable, trimmed, unquoted
from tagseg.datasets import table_json
from tagseg.datasets.checks import Fault
from tagseg.datasets.folder_names import Photographs
from tagseg.datasets.index import BACKGROUND
from tagseg.datasets.table_columns import Cell, Unread, places
from tagseg.datasets.table_text import separator_hint, text_rows
from tagseg.datasets.table_workbook import is_workbook, workbook_rows
from tagseg.datasets.texts import decoded
from tagseg.errors import TagsegError
from tagseg.images.formats import REMEDY, not_read

SPLITS = ("train", "val", "test")
_REMEDY_CSV = "write image,tags[,split], with the tags of an image in one cell, separated by ;"
_BETWEEN_TAGS = re.compile("[;；؛]")
_BETWEEN_QUOTED = re.compile("""["'”’“»«`]\\s*[;；؛]""")  # the quotes are those of single tags
# Separators that people write between tags in place of ';': each by itself, then all of them mixed.
_JOINS = {
    "','": r"[,，、]",
    "'|'": r"[|｜]",
    "'/'": "/",
    "'+' or '&'": "[+&]",
    "a line break": r"[\r\n]",
    "a space": r"\s",
    "several signs": r"[,，、|｜/+&\s]",
}
_ROOTED = re.compile(r"[/\\]|[A-Za-z]:[/\\]")
_NEVER_IN_NAMES = ("','", "'|'")


@dataclass(frozen=True)
class TagRow:
    """What a table says about one image.

    `image` is its name as written: a path below the folder of photographs, with or without its suffix. `tags` are
    sorted and unique; `split` is train if none is given; `file` and `line` say where the row is (0: it has no line).
    """

    image: str
    tags: tuple[str, ...]
    split: str
    file: Path
    line: int


@dataclass
class TagTable:
    """The valid rows, and the faults of the others."""

    rows: list[TagRow] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def read_tags(path: Path, classes: Collection[str] = (), *, anywhere: bool = False) -> TagTable:
    """Rows of a table of tags: CSV or TSV with a header that has image, tags and perhaps split, JSON, or a workbook.

    A workbook is recognised by its content, JSON by its suffix (`table_json.SUFFIXES`). Column names may be in any
    case, and other columns are ignored. `classes` are all classes, if they are known: a tag that is one of them is
    never taken for several tags with another separator than `;`. `anywhere`: paths of images may lead outside the
    folder of photographs. Raises TagsegError naming the file (and line) if it is missing, in an unknown encoding, or in
    another format as a whole; faults of single rows are in the table's `faults`.
    """
    table = TagTable()
    rows = list(_rows_of(path, table.faults))
    known = {*classes, *(tag for row in rows for tag in row.tags)}
    in_lists = path.suffix.lower() in table_json.SUFFIXES
    wrong = {tag: what for tag in known - set(classes) if (what := _joined(tag, known, bool(classes), in_lists))}
    for row in rows:
        found = [wrong[tag] for tag in row.tags if tag in wrong] or list(_faults_of(row, anywhere=anywhere))
        if row.split in known - set(SPLITS):
            found.append((f"split {row.split!r} is a tag elsewhere", "write the tags of an image in one cell, quoted"))
        table.faults += [Fault(path, row.line, row.image, what, remedy) for what, remedy in found]
        if not found:
            table.rows.append(row)
    return table


def _rows_of(path: Path, faults: list[Fault]) -> Iterator[TagRow]:
    if not path.is_file():
        raise TagsegError(f"{path}: no such file; give a table of image,tags")
    content = path.read_bytes()
    if is_workbook(path, content):
        yield from _of_cells(path, list(workbook_rows(path, content)), faults)
        return
    text = decoded(content, path)
    if path.suffix.lower() in table_json.SUFFIXES:
        for line, image, tags, split in table_json.json_entries(path, text, faults):
            yield TagRow(trimmed(image), _sorted(tags), _split(split), path, line)
        return
    yield from _of_cells(path, list(text_rows(path, text, faults)), faults)


def _of_cells(path: Path, rows: list[tuple[int, list[Cell]]], faults: list[Fault]) -> Iterator[TagRow]:
    """Rows of a table whose header is the first of `rows`; faults of incomplete ones go to `faults`."""
    line, header = rows[0] if rows else (1, [])
    columns = places(path, line, header, separator_hint(header))
    width = len(header)
    for line, cells in rows[1:]:
        first = cells[0] if isinstance(cells[0], str) else ""
        if len(cells) < width or any(isinstance(cell, Unread) or cell.strip() for cell in cells[width:]):
            what = f"{len(cells)} cell{'s' if len(cells) > 1 else ''}, but the header has {width}"
            faults.append(Fault(path, line, first.strip(), what, _REMEDY_CSV))
            continue
        row = {column: cells[place] for column, place in columns.items()}
        unread = [cell for cell in row.values() if isinstance(cell, Unread)]
        if unread:
            name = row["image"] if isinstance(row["image"], str) else ""
            faults.append(Fault(path, line, name.strip(), unread[0].what, unread[0].remedy))
            continue
        image, tags, split = (str(row.get(column, "")) for column in ("image", "tags", "split"))
        yield TagRow(trimmed(image), _tags(tags), _split(split), path, line)


@lru_cache(10_000)  # tables are long, and tags few
def _tags(cell: str) -> tuple[str, ...]:
    """The tags in a cell: separated by `;`, or a list as Python and pandas write it, `['cat', 'dog']`."""
    text = plain(cell)
    if not _BETWEEN_QUOTED.search(text):
        text = unquoted(text)
    if text.startswith("[") and text.endswith("]"):
        try:
            listed = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            listed = None
        if isinstance(listed, list) and all(isinstance(tag, str) for tag in listed):
            return _sorted(listed)
    return _sorted(_BETWEEN_TAGS.split(text))


def _sorted(tags: list[str]) -> tuple[str, ...]:
    return tuple(sorted({unquoted(plain(tag)) for tag in tags} - {""}))


def _joined(tag: str, known: set[str], told: bool, in_lists: bool) -> tuple[str, str] | None:
    """The fault of a tag that joins several classes, or may do so, with another separator than `;`; None if sound.

    `known` are all tags and classes; `told` says whether the classes are given, so that other tags are faults anyway.
    """
    if tag.isalnum():
        return None
    for sign, pattern in _JOINS.items():
        parts = [part.strip() for part in re.split(pattern, tag) if part.strip()]
        if len(parts) < 2:
            continue
        apart = ", ".join(f'"{part}"' for part in parts) if in_lists else f"{';'.join(parts)}, not {sign}"
        if known.issuperset(parts):
            return (
                f"tag {tag!r} is {' and '.join(map(repr, parts))}, which are classes by themselves",
                f"write {apart}; if it is a class of its own, list it (--classes FILE, data.classes)",
            )
        if sign in _NEVER_IN_NAMES and not told and not in_lists:
            return (
                f"tag {tag!r} has {sign} in it, but tags are separated by ';'",
                f"write {apart}; if it is a single class, list it (--classes FILE, data.classes)",
            )
    return None


def read_class_folders(photographs: Photographs) -> TagTable:
    """A row for each photograph in a folder CLASS/..., or train|val|test/CLASS/... if there are no other folders.

    Photographs outside such folders and pictures that tagseg made have no row. A class folder without photographs is a
    fault.
    """
    table = TagTable()
    everything = sorted(photographs.paths)
    paths = [name for name in everything if not photographs.is_made(name)]
    tops = {name.split("/")[0] for name in paths if "/" in name}
    depth = 1 if tops and tops <= set(SPLITS) else 0
    used = {"/".join(name.split("/")[: depth + 1]) for name in everything}
    for name in paths:
        parts = name.split("/")
        if len(parts) < depth + 2:
            continue
        file = photographs.paths[name]
        row = TagRow(name, (plain(parts[depth]),), parts[0] if depth else "train", file, 0)
        faults = [Fault(file, 0, name, what, remedy) for what, remedy in _faults_of(row)]
        table.faults += faults
        if not faults:
            table.rows.append(row)
    for folder in photographs.folders:
        if folder.count("/") == depth and nfc(folder) not in used:
            place = photographs.folder / folder
            others = [path for path in photographs.unread if path.startswith(f"{place}/")]
            but = f", but {not_read(others)}" if others else ""
            what = f"no photograph in this class folder{but}"
            table.faults.append(Fault(place, 0, "", what, REMEDY if others else "add some or remove it"))
    return table


@lru_cache
def _split(given: str) -> str:
    text = unquoted(plain(given)) or "train"
    return text.lower() if text.lower() in SPLITS else text


def _faults_of(row: TagRow, *, anywhere: bool = False) -> Iterator[tuple[str, str]]:
    """The faults of a row by itself, each with its remedy."""
    if not row.image:
        yield "no image ''", "add its name or drop the line"
    elif row.image.encode("utf-8", "replace").decode() != row.image:
        yield f"image {row.image!r} has a name that is not UTF-8", "rename the file"
    elif not anywhere and (_ROOTED.match(row.image) or ".." in re.split(r"[/\\]", row.image)):
        yield f"image {row.image!r} leads out of the folder of photographs", "write its path below that folder"
    for tag in row.tags:
        if tag == BACKGROUND:
            yield f"tag {BACKGROUND!r} is the class of every image", "take it out of the tags"
        elif not printable(tag) or ";" in tag:
            yield f"tag {tag!r} has a line break or another character that no name has", "rename it"
        elif tag.startswith('"'):
            yield f"tag {tag!r} begins with a quote that never ends", "take it out"
    if not re.fullmatch(r"\w+", row.split):
        yield f"split {row.split!r} is not a word", f"use {', '.join(SPLITS)}"
