"""Which files may be written: none that the same command reads, and none that is there and that tagseg did not write.

`refuse` looks at all that a command was given before it starts (`options.command` calls it for every one); `settle`
looks once more at each single file in the moment in which it would be replaced (`store.atomic` calls it).

tagseg knows its own files by what is in them (`form_of`): the mark of a picture, the attributes of an HDF5 file, the
header of a table. A plain list of names bears no mark: it is replaced only by a list that has all its lines.
"""

import filecmp
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tagseg.artifacts.forms import LISTS, form_of, lines_of
from tagseg.errors import TagsegError
from tagseg.images.marks import SOURCES


@dataclass(frozen=True)
class Given:
    """A path, and how it was given: `--tags`, `IMAGES`."""

    path: Path
    option: str

    @cached_property
    def place(self) -> str:
        """Where it leads to, links followed; names that some file system takes for one are equal."""
        try:
            whole = str(self.path.resolve())
        except (OSError, RuntimeError):  # links in a circle
            whole = str(self.path.absolute())
        return unicodedata.normalize("NFC", unicodedata.normalize("NFC", whole).casefold())

    @cached_property
    def file(self) -> tuple[int, int] | None:
        """The file itself, whatever its names; None where there is none."""
        try:
            found = self.path.stat()
        except (OSError, ValueError):
            return None
        return found.st_dev, found.st_ino

    def is_that(self, other: "Given") -> bool:
        """Whether both are one file, or would be on a file system that takes upper and lower case for the same."""
        return self.file == other.file if self.file and other.file else self.place == other.place


_reading: dict[tuple[int, int], Given] = {}  # what the command at work reads; of the process: loaders are threads


def refuse(outputs: Iterable[Given], inputs: Iterable[Given]) -> None:
    """Raise TagsegError if an output is an input, or another output, or a file that is there and is not tagseg's.

    Folders are let through: what would be written into one is known to the command alone, which calls `require_own`.
    """
    inputs, seen = list(inputs), list[Given]()
    for output in outputs:
        for other in seen:
            if output.is_that(other):
                raise TagsegError(
                    f"{output.path}: would be written twice ({other.option}, {output.option}); "
                    "give each output a name of its own"
                )
        seen.append(output)
        if output.path.is_dir():
            continue
        for read in inputs:
            if output.is_that(read):
                raise _read_too(output.path, read)
        require_own([output.path])


def require_own(paths: Iterable[Path], source: str | None = None) -> None:
    """Raise TagsegError for the first of the files to be written that is there and is not tagseg's, or is being read.

    Photographs and truth that tagseg made are not replaced either, but for those of the kind `source`.
    """
    kept = [None, *(kind for kind in SOURCES if kind != source)]
    for path in paths:
        if not os.path.lexists(path):
            continue
        _require_not_read(path)
        if not path.is_dir() and form_of(path) in kept:
            raise _foreign(path)


@contextmanager
def reading(inputs: Iterable[Given]) -> Iterator[None]:
    """While this lasts, no file among `inputs` can be written."""
    before = dict(_reading)
    _reading.update({given.file: given for given in inputs if given.file and given.path.is_file()})
    try:
        yield
    finally:
        _reading.clear()
        _reading.update(before)


def settle(new: Path, path: Path) -> None:
    """Raise TagsegError if `new`, a file that is whole, must not take the place of what is at `path`.

    It may if nothing is there, if both are of one form of tagseg's own, or if both have the same content.
    """
    if not os.path.lexists(path) or path.is_dir():  # a folder in the way: the system says so
        return
    _require_not_read(path)
    old = form_of(path)
    if old is not None and old == form_of(new, path.suffix) and (old not in LISTS or _has_all(lines_of(new), path)):
        return
    if not has_content_of(path, new):
        raise _foreign(path)


def has_content_of(path: Path, other: Path) -> bool:
    """Whether two files are equal, byte by byte."""
    return path.is_file() and filecmp.cmp(path, other, shallow=False)


def require_list(path: Path, lines: Iterable[str]) -> None:
    """Raise TagsegError if a list is to be written to a file that is there and has a line that this one lacks."""
    if os.path.lexists(path):
        _require_not_read(path)
        if not path.is_dir() and (not path.is_file() or not _has_all(lines, path)):
            raise _foreign(path)


def require_own_folder(folder: Path, kind: str) -> None:
    """Raise TagsegError if a folder that is to be replaced is there and holds anything but pictures of this kind."""
    if not folder.is_dir():
        if os.path.lexists(folder):
            raise _foreign(folder)
        return
    for path in sorted(folder.iterdir()):
        of_no_account = path.name in (".snakemake_timestamp", ".DS_Store") or re.fullmatch(r"\..*\.part", path.name)
        if not of_no_account and form_of(path) != kind:
            raise TagsegError(
                f"{path}: is no file that tagseg wrote, in a folder that would be replaced; move it away, or give "
                "another folder"
            )
        _require_not_read(path)


def _require_not_read(path: Path) -> None:
    read = _reading.get(Given(path, "").file or (0, 0))
    if read:
        raise _read_too(path, read)


def _has_all(lines: Iterable[str], old: Path) -> bool:
    """Whether a list has all lines of an old one, in their order."""
    rest = iter(lines)
    return all(line in rest for line in lines_of(old))


def _foreign(path: Path) -> TagsegError:
    return TagsegError(
        f"{path}: is there already, and is not what tagseg would write there; move it away, or give another name"
    )


def _read_too(path: Path, read: Given) -> TagsegError:
    return TagsegError(f"{path}: is read by this command ({read.option}); give the output another name")
