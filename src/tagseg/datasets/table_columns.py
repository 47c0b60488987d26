"""The columns of a table of tags: which there are, how they are spelt, and what stands in a row of them."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tagseg.config.names import plain, unquoted
from tagseg.errors import TagsegError

# Each column and the headings that it may have, in any case; an index that a run wrote has id in image's place.
COLUMNS = {"image": ("image", "id"), "tags": ("tags",), "split": ("split",)}
_NEEDED = ("image", "tags")
# Headings of other programs, not read: a column called like one may hold anything. The error says what to rename.
_ALIKE = {
    "image": ("images", "filename", "filenames", "file_name", "file", "files", "path", "filepath", "name", "photo"),
    "tags": ("tag", "label", "labels", "class", "classes", "category", "categories"),
}


@dataclass(frozen=True)
class Unread:
    """A cell that holds no text to take for a name: what it is instead, and the remedy."""

    what: str
    remedy: str


Cell = str | Unread
Rows = Sequence[tuple[int, Sequence[Cell]]]  # each with its line, from 1


def fits(header: Sequence[Cell]) -> bool:
    """Whether a row names the columns that a table of tags needs."""
    return not _missing(headings(header))


def headings(header: Sequence[Cell]) -> list[str]:
    """A header's cells in one spelling: lower case, without hidden characters and quotes."""
    return [unquoted(plain(cell)).lower() if isinstance(cell, str) else "" for cell in header]


def places(path: Path, line: int, header: Sequence[Cell], hint: str = "") -> dict[str, int]:
    """Where each column of COLUMNS stands, of those that are there.

    Raises TagsegError naming file and line if a needed one is missing (with `hint` behind), or if one is there twice.
    """
    names = headings(header)
    missing = _missing(names)
    if missing:
        hint = hint or _renames(missing, names)
        raise TagsegError(f"{path}:{line}: the header lacks {', '.join(missing)}; it needs image,tags{hint}")
    doubled = sorted({name for name in names if names.count(name) > 1 and name})
    if doubled:
        raise TagsegError(f"{path}:{line}: the header has {doubled[0]!r} twice; keep one such column")
    found = {column: next((n for n in spelt if n in names), "") for column, spelt in COLUMNS.items()}
    return {column: names.index(name) for column, name in found.items() if name}


def _missing(names: Sequence[str]) -> list[str]:
    return [column for column in _NEEDED if not any(name in names for name in COLUMNS[column])]


def _renames(missing: Sequence[str], names: Sequence[str]) -> str:
    """Which heading to rename, where one is plainly meant for a missing column."""
    hints = []
    for column in missing:
        known = [name for name in names if name in _ALIKE[column]]
        meant = known or difflib.get_close_matches(column, filter(str.isprintable, names), n=1, cutoff=0.7)
        hints += [f"{meant[0]} to {column}"] if meant else []
    return f"; rename {', '.join(hints)}" if hints else ""
