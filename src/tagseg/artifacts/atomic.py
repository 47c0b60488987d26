"""Files that appear whole or not at all: written under a temporary name beside their own, and renamed."""

import glob
import os
import re
import shutil
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tagseg.artifacts.disk import names_file
from tagseg.artifacts.outputs import TEMPORARY, require_own_folder, require_replaceable
from tagseg.errors import TagsegError
from tagseg.images.marks import LABELS

_HOST = re.sub(r"[^\w-]", "-", socket.gethostname())
_HOUR = 3600.0  # seconds


@names_file
@contextmanager
def atomic(path: Path, *, tidy: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    Raises TagsegError, and leaves `path` as it is, if there is a file that is not tagseg's own
    (`outputs.require_replaceable`). A process that was killed leaves its temporary file, which is removed when the file
    itself is written. That search lists the whole folder: who writes many files into one turns `tidy` off, and calls
    `remove_leftovers` once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        yield temporary
        require_replaceable(temporary, path)
        temporary.replace(path)
        if tidy:
            _remove_left(path)
    finally:
        temporary.unlink(missing_ok=True)


@names_file
@contextmanager
def atomic_folder(path: Path, kind: str = LABELS) -> Iterator[Path]:
    """The same for a folder of pictures of one kind. An existing one is replaced if it holds nothing else."""
    require_own_folder(path, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        temporary.mkdir()
        yield temporary
        require_own_folder(path, kind)  # again: somebody may have put a file there in the meantime
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)
        _remove_left(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary(path: Path) -> Path:
    if path.name in ("", ".."):  # the current folder, or one above it
        raise TagsegError(f"{path}: an output needs a name of its own; give one in that folder")
    return path.with_name(f".{path.name}.{_HOST}.{os.getpid()}.part")


def _remove_left(path: Path) -> None:
    """Remove what killed processes left of `path`; files that a running process is writing stay."""
    _remove(path.parent.glob(f".{glob.escape(path.name)}.*.part"), {path.name})


def _remove(paths: Iterable[Path], names: set[str]) -> None:
    """Remove those of the paths that are temporary files, of files of these names, whose process has ended."""
    for left in paths:
        found = TEMPORARY.fullmatch(left.name)
        if found and found[1] in names and not _is_running(left, found[2], found[3]):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def _is_running(left: Path, host: str, process: str) -> bool:
    """Whether a temporary file's process is running; one of another machine is if it wrote within the last hour."""
    try:
        if host != _HOST:
            return time.time() - left.stat().st_mtime < _HOUR
        os.kill(int(process), 0)
    except (ProcessLookupError, FileNotFoundError, ValueError):
        return False
    except PermissionError:
        pass  # it is running, as another user
    return True


def remove_leftovers(paths: Iterable[Path]) -> None:
    """Remove what killed processes left of these files, listing each folder once."""
    names: dict[Path, set[str]] = {}
    for path in paths:
        names.setdefault(path.parent, set()).add(path.name)
    for folder, made in names.items():
        _remove(folder.glob(".*.part"), made)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
