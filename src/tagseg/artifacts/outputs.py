"""Guards against overwriting: no file that the same command reads, and no file that tagseg did not write.

`refuse_outputs` checks all paths that a command was given before it starts (`make_command` calls it for every one);
`require_replaceable` checks each file again at the moment of replacing it (`atomic` calls it).

tagseg knows its own files by their content (`file_type`): the mark of a picture, the attributes of an HDF5 file, the
header of a table. A plain list of names bears no mark: it is replaced only by a list that has all its lines.
"""

import filecmp
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tagseg.artifacts.file_types import LISTS, file_type, lines_of
from tagseg.config.names import nfc
from tagseg.errors import TagsegError
from tagseg.images.marks import SOURCES

# Name, host and process in the name of a temporary file (`atomic`)
TEMPORARY = re.compile(r"\.(.+)\.([\w-]+)\.(\d{1,9})\.part")


@dataclass(frozen=True)
class Given:
    """A path, and the option or argument that it was given by: `--tags`, `IMAGES`."""

    path: Path
    option: str

    @cached_property
    def location(self) -> str:
        """The path with links resolved, its case folded: names that some file system takes for one are equal."""
        try:
            whole = str(self.path.resolve())
        except (OSError, RuntimeError):  # links in a circle
            whole = str(self.path.absolute())
        return nfc(nfc(whole).casefold())

    @cached_property
    def file(self) -> tuple[int, int] | None:
        """Device and inode of the file, which are the same under all its names; None if there is no file."""
        try:
            found = self.path.stat()
        except (OSError, ValueError):
            return None
        return found.st_dev, found.st_ino

    def same_as(self, other: "Given") -> bool:
        """Whether both are one file, or would be on a case-insensitive file system."""
        return self.file == other.file if self.file and other.file else self.location == other.location


_reading: dict[tuple[int, int], Given] = {}  # files that the running command reads; global, since loaders are threads


def refuse_outputs(outputs: Iterable[Given], inputs: Iterable[Given]) -> None:
    """Raise TagsegError if an output is an input, or another output, or an existing file that is not tagseg's.

    Folders pass: only the command itself knows what it will write into one, and calls `require_own`.
    """
    inputs, seen = list(inputs), list[Given]()
    for output in outputs:
        for other in seen:
            if output.same_as(other):
                raise TagsegError(
                    f"{output.path}: would be written twice ({other.option}, {output.option}); "
                    "give each output a name of its own"
                )
        seen.append(output)
        if output.path.is_dir():
            continue
        for read in inputs:
            if output.same_as(read):
                raise _is_input(output.path, read)
        require_own([output.path])


def require_own(paths: Iterable[Path], source: str | None = None) -> None:
    """Raise TagsegError for the first of the files to be written that exists and is not tagseg's, or is being read.

    Photographs and truth masks that tagseg made are not replaced either, except those of the kind `source`.
    """
    kept = [None, *(kind for kind in SOURCES if kind != source)]
    for path in paths:
        if not os.path.lexists(path):
            continue
        _require_not_read(path)
        if not path.is_dir() and file_type(path) in kept:
            raise _foreign(path)


@contextmanager
def reading(inputs: Iterable[Given]) -> Iterator[None]:
    """Within this context, no file among `inputs` can be written."""
    before = dict(_reading)
    _reading.update({given.file: given for given in inputs if given.file and given.path.is_file()})
    try:
        yield
    finally:
        _reading.clear()
        _reading.update(before)


def require_replaceable(new: Path, path: Path) -> None:
    """Raise TagsegError if `new`, a complete file, must not replace what is at `path`.

    It may if nothing is there, if both are files of tagseg's of one type, or if both have the same content.
    """
    if not os.path.lexists(path) or path.is_dir():  # of a folder, the system's own error tells
        return
    _require_not_read(path)
    old = file_type(path)
    if old is not None and old == file_type(new, path.suffix) and (old not in LISTS or _has_all(lines_of(new), path)):
        return
    if not has_content_of(path, new):
        raise _foreign(path)


def has_content_of(path: Path, other: Path) -> bool:
    """Whether two files are equal, byte by byte."""
    return path.is_file() and filecmp.cmp(path, other, shallow=False)


def require_list(path: Path, lines: Iterable[str]) -> None:
    """Raise TagsegError if a list would replace a file that has a line which this one lacks."""
    if os.path.lexists(path):
        _require_not_read(path)
        if not path.is_dir() and (not path.is_file() or not _has_all(lines, path)):
            raise _foreign(path)


def require_own_folder(folder: Path, kind: str) -> None:
    """Raise TagsegError if a folder to be replaced exists and holds anything but pictures of this kind."""
    if not folder.is_dir():
        if os.path.lexists(folder):
            raise _foreign(folder)
        return
    for path in sorted(folder.iterdir()):
        ignored = path.name in (".snakemake_timestamp", ".DS_Store") or TEMPORARY.fullmatch(path.name)
        if not ignored and file_type(path) != kind:
            raise TagsegError(
                f"{path}: is not a file that tagseg wrote, in a folder that would be replaced; move it away, or give "
                "another folder"
            )
        _require_not_read(path)


def _require_not_read(path: Path) -> None:
    read = _reading.get(Given(path, "").file or (0, 0))
    if read:
        raise _is_input(path, read)


def _has_all(lines: Iterable[str], old: Path) -> bool:
    """Whether a list has all lines of an old one, in the same order."""
    rest = iter(lines)
    return all(line in rest for line in lines_of(old))


def _foreign(path: Path) -> TagsegError:
    return TagsegError(
        f"{path}: is there already, and is not what tagseg would write there; move it away, or give another name"
    )


def _is_input(path: Path, read: Given) -> TagsegError:
    return TagsegError(f"{path}: is read by this command ({read.option}); give the output another name")
