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

from tagseg.artifacts.disk import named
from tagseg.artifacts.outputs import require_own_folder, settle
from tagseg.images.marks import LABELS

_HOST = re.sub(r"[^\w-]", "-", socket.gethostname())


_HOUR = 3600.0


@named
@contextmanager
def atomic(path: Path, *, tidy: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    What is at `path` already must be tagseg's own (`outputs.settle`), or it stays, and a TagsegError is raised.
    A process that was killed leaves its temporary file; it goes when the file itself is made, unless `tidy` is off: to
    look for it takes as long as the folder has files, which `tidied` spares who writes very many into one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        yield temporary
        settle(temporary, path)
        temporary.replace(path)
        if tidy:
            _remove_left(path)
    finally:
        temporary.unlink(missing_ok=True)


@named
@contextmanager
def atomic_folder(path: Path, kind: str = LABELS) -> Iterator[Path]:
    """The same for a folder of pictures of one kind. One that is there is replaced, if it holds nothing but such."""
    require_own_folder(path, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        temporary.mkdir()
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)
        _remove_left(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{_HOST}.{os.getpid()}.part")


def _remove_left(path: Path) -> None:
    """Remove what killed processes left of `path`; what a living one is writing stays."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        *_, host, process, _ = left.name.split(".")
        if not _at_work(left, host, process):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def _at_work(left: Path, host: str, process: str) -> bool:
    """Whether a temporary file's process lives. Of another machine nothing is known but the time of its last word."""
    try:
        if host != _HOST:
            return time.time() - left.stat().st_mtime < _HOUR
        os.kill(int(process), 0)
    except (ProcessLookupError, FileNotFoundError, ValueError):
        return False
    except PermissionError:
        pass  # it lives, and is another user's
    return True


def tidied(paths: Iterable[Path]) -> None:
    """Remove what killed processes left of these files: each folder is looked through once."""
    names: dict[Path, set[str]] = {}
    for path in paths:
        names.setdefault(path.parent, set()).add(path.name)
    for folder, made in names.items():
        for left in folder.glob(".*.part"):
            name, *rest = left.name[1:].removesuffix(".part").rsplit(".", 2)
            if name in made and len(rest) == 2 and not _at_work(left, *rest):
                left.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
