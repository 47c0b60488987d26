"""Find the photographs that a user names on the command line: files, folders, a list; and name their outputs."""

import hashlib
import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TextIO

from tagseg.config.names import nfc, trimmed, unquoted
from tagseg.datasets.texts import decoded
from tagseg.errors import TagsegError, first_of
from tagseg.images.files import is_made
from tagseg.images.formats import REMEDY, is_photograph, is_unread, not_read, walk

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Photograph:
    """A file, its path below the folder that was given (its name, if it was given itself), and its outputs' name.

    `name` is a relative path without suffix, with `/` between folders, and unique among the photographs of a call.
    """

    path: Path
    below: str
    name: str


def gather(arguments: Sequence[str], listed: Iterable[str], unread: list[str] | None = None) -> list[Photograph]:
    """Every photograph once, in the order of the arguments; those of a folder and its subfolders by path.

    An argument is a file, a folder, or `-`, which stands for the paths in `listed`, one a line, perhaps in quotes.
    In folders, hidden files and a project's working copies are skipped; pictures that tagseg made are skipped
    everywhere, and logged. A photograph's name is its path below the folder; if several would have the
    same name (on some file system), a digest of the full path is appended to each. Files in folders that may be
    photographs, but are of a format that is not read, are added to `unread`, if that is given.

    Raises TagsegError for a path that does not exist, for a folder without photographs, and if there is none at all.
    """
    unread = [] if unread is None else unread
    found: dict[Path, tuple[Path, str]] = {}  # by resolved path: one that is named twice is one photograph
    made: list[Path] = []
    for argument in arguments:
        if argument == "-":
            for line in listed:
                if trimmed(line):
                    path = _listed_path(line.rstrip("\r\n"))
                    _add(found, made, path, unread, " (in the list on standard input)")
        else:
            _add(found, made, Path(argument), unread, "")
    if made:
        log.warning(
            "%d pictures that tagseg made are passed over: %s", len(made), first_of([str(path) for path in made])
        )
    if not found and made:
        raise TagsegError(f"{made[0]}: a picture that tagseg made, not a photograph; name photographs")
    if not found:
        raise TagsegError("no photographs: name files or folders, or give a list with a path a line after -")
    plain = [PurePath(below).with_suffix("").as_posix() for _, below in found.values()]
    alike = Counter(map(_folded, plain))
    return [
        Photograph(path, below, name if alike[_folded(name)] == 1 else f"{name}-{_digest(path)}")
        for (path, below), name in zip(found.values(), plain, strict=True)
    ]


def lines_of(stream: TextIO) -> list[str]:
    """The lines of standard input, in the encoding that its bytes show (a list from a Windows program is UTF-16).

    Names of files need not be text: bytes that are not UTF-8 are decoded as Python decodes them in paths.
    """
    if hasattr(stream, "buffer"):
        content = stream.buffer.read()
        try:
            text = decoded(content, "standard input")
        except TagsegError:
            text = os.fsdecode(content)
    else:  # a stream of text, without bytes
        text = stream.read()
    return text.replace("\r", "\n").split("\n")


def _listed_path(line: str) -> Path:
    """The path in a line of a list: as written if that exists, else without quotes or blanks, or with `/` for `\\`."""
    bare = unquoted(trimmed(line))
    forms = [line, line.removeprefix("\ufeff"), trimmed(line), bare, bare.replace("\\", "/")]
    forms += [unicodedata.normalize(form, forms[-1]) for form in ("NFC", "NFD")]
    return next((Path(form) for form in forms if os.path.lexists(form)), Path(bare))


def _add(found: dict[Path, tuple[Path, str]], made: list[Path], path: Path, unread: list[str], source: str) -> None:
    """Add a file, or the photographs of a folder, to `found`, or to `made` or `unread`; `source` is for messages."""
    if path.is_dir():
        others: list[str] = []
        inside = list(_in_folder(path, others))
        pictures = [inner for inner in inside if is_made(inner)]
        made += pictures
        inside = [inner for inner in inside if inner not in set(pictures)]
        if not inside and not pictures:
            but = f", but {not_read(others)}; {REMEDY}" if others else "; name another folder"
            raise TagsegError(f"{path}: no photograph in it or below it{but}")
        unread += [name for name in others if name not in unread]
        for inner in inside:
            found.setdefault(inner.resolve(), (inner, inner.relative_to(path).as_posix()))
    elif is_made(path):
        made.append(path)
    elif path.exists():
        found.setdefault(path.resolve(), (path, path.name))
    else:
        raise TagsegError(f"{path}: no such file or folder{source}; correct the path, or leave it out")


def _in_folder(folder: Path, unread: list[str]) -> Iterator[Path]:
    """Photographs in a folder and below it, by path."""
    files = [(Path(base, name), name) for base, _, _, names in walk(folder) for name in names]
    for path, name in sorted(files):
        # a broken link is a photograph that is missing; a pipe is no photograph
        if is_photograph(name) and (path.is_file() or not path.exists()):
            yield path
        elif is_unread(name):
            unread.append(f"{path}/" if name.endswith("/") else str(path))


def _folded(name: str) -> str:
    """A name in a form in which names that some file system takes for the same are equal."""
    return nfc(name).casefold()


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:8]
