"""Photographs that a user names on the command line: files, folders, a list; and what to call what is made of them."""

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from tagseg.datasets.images import SUFFIXES
from tagseg.errors import TagsegError


@dataclass(frozen=True)
class Photograph:
    """A file, its path below the folder that was named (its own name, if it was named itself), and its outputs' name.

    `name` is a relative path without suffix, with `/` between folders, and is no other photograph's of one call.
    """

    path: Path
    below: str
    name: str


def gather(arguments: Sequence[str], listed: Iterable[str], output: Path) -> list[Photograph]:
    """Every photograph once, in the order of the arguments; those of a folder and its subfolders by path.

    An argument is a file, a folder, or `-`, which stands for the paths in `listed`, a line each. Hidden files and what
    lies under `output` are left out of folders. A photograph is called after its path below the folder; those that
    would be called alike (also where letters' case does not count) have a digest of their full path behind the name.

    Raises TagsegError for a path where nothing is, a folder without photographs, and if there is none at all.
    """
    found: dict[Path, tuple[Path, str]] = {}  # by resolved path: one that is named twice is one photograph
    for argument in arguments:
        if argument == "-":
            lines = [line.rstrip("\r\n") for line in listed]
            for line in filter(None, lines):
                _add(found, Path(line), output, " (in the list on standard input)")
        else:
            _add(found, Path(argument), output, "")
    if not found:
        raise TagsegError("no photographs: name files or folders, or give a list with a path a line after -")
    plain = [PurePath(below).with_suffix("").as_posix() for _, below in found.values()]
    alike = Counter(map(_folded, plain))
    return [
        Photograph(path, below, name if alike[_folded(name)] == 1 else f"{name}-{_digest(path)}")
        for (path, below), name in zip(found.values(), plain, strict=True)
    ]


def _add(found: dict[Path, tuple[Path, str]], path: Path, output: Path, source: str) -> None:
    if path.is_dir():
        inside = list(_in_folder(path, output))
        if not inside:
            raise TagsegError(f"{path}: no photograph in it or below it ({', '.join(SUFFIXES)}); name another folder")
        for inner in inside:
            found.setdefault(inner.resolve(), (inner, inner.relative_to(path).as_posix()))
    elif path.exists():
        found.setdefault(path.resolve(), (path, path.name))
    else:
        raise TagsegError(f"{path}: no such file or folder{source}; correct the path, or leave it out")


def _in_folder(folder: Path, output: Path) -> Iterator[Path]:
    made = output.resolve()
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file() and made not in path.resolve().parents:
            yield path


def _folded(name: str) -> str:
    """Names that some file system takes for one are equal here."""
    return unicodedata.normalize("NFC", name).casefold()


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:8]
