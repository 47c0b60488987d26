"""The columns of a table of tags: their names, and where they are in a header."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tagseg.config.names import plain, unquoted
from tagseg.errors import TagsegError

# The headings that each column may have, in any case; an index that a run wrote has `id` in place of `image`.
COLUMNS = {"image": ("image", "id"), "tags": ("tags",), "split": ("split",)}
_NEEDED = ("image", "tags")
# Headings of other programs. They are not read, since such a column may hold anything, but errors suggest to rename it.
_ALIKE = {
    "image": ("images", "filename", "filenames", "file_name", "file", "files", "path", "filepath", "name", "photo"),
    "tags": ("tag", "label", "labels", "class", "classes", "category", "categories"),
}


@dataclass(frozen=True)
class Unread:
    """A cell without usable text: what it holds instead, and the remedy."""

    what: str
    remedy: str


Cell = str | Unread


def fits(header: Sequence[Cell]) -> bool:
    """Whether a row names the columns that a table of tags needs."""
    return not _missing(headings(header))


def headings(header: Sequence[Cell]) -> list[str]:
    """The cells of a header, normalised: lower case, without hidden characters and quotes."""
    return [unquoted(plain(cell)).lower() if isinstance(cell, str) else "" for cell in header]


def places(path: Path, line: int, header: Sequence[Cell], hint: str = "") -> dict[str, int]:
    """The position of each column of `COLUMNS` in a header that has it.

    Raises TagsegError naming file and line if a required column is missing (followed by `hint`), or appears twice.
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
    """Which heading to rename, if one is clearly meant as a missing column."""
    hints = []
    for column in missing:
        known = [name for name in names if name in _ALIKE[column]]
        meant = known or difflib.get_close_matches(column, filter(str.isprintable, names), n=1, cutoff=0.7)
        hints += [f"{meant[0]} to {column}"] if meant else []
    return f"; rename {', '.join(hints)}" if hints else ""
