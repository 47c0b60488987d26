"""Errors of writing, such as a full disk or a read-only folder, as one line that names the file and the remedy."""

import errno
import functools
import io
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from tagseg.errors import FORBIDDEN, TOO_MANY, TagsegError

Rest = ParamSpec("Rest")
_FULL = "free some space, then run again: what is whole stays, and only this file is made anew"
_CLOSED = "give write permission, or choose another folder"
_BLOCKED = "move away what is in its place, or choose another name"
_NO_FOLDER = "one of its folders is a file; move that away, or choose another folder"
_OUT_OF_REACH = "its disk or network file system failed: see to that, then run again; what is whole stays"
_REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), then run again",
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.EROFS: _CLOSED,
    errno.EISDIR: _BLOCKED,
    errno.ENOTDIR: _NO_FOLDER,
    errno.EEXIST: _NO_FOLDER,
    errno.ENOTEMPTY: _BLOCKED,
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: TOO_MANY,
    errno.ENFILE: TOO_MANY,
    errno.EIO: _OUT_OF_REACH,
    errno.ESTALE: _OUT_OF_REACH,
}


def explained(error: OSError, path: Path | str | None = None) -> TagsegError | None:
    """An error of the operating system as one line for the user; None if it names no file or has no number."""
    name = path or error.filename
    if not name or error.errno is None:
        return None
    remedy = _REMEDIES.get(error.errno, "see to the file, then run again")
    if remedy == _CLOSED and Path(name).is_file() and not os.access(name, os.R_OK):
        remedy = FORBIDDEN
    return TagsegError(f"{name}: {error.strerror or error}; {remedy}")


def names_file(
    manager: Callable[Concatenate[Path, Rest], AbstractContextManager[Path]],
) -> Callable[Concatenate[Path, Rest], AbstractContextManager[Path]]:
    """Decorate a context manager that writes a file: errors of writing become TagsegErrors that name this file."""

    @functools.wraps(manager)
    @contextmanager
    def naming(path: Path, *rest: Rest.args, **more: Rest.kwargs) -> Iterator[Path]:
        try:
            with manager(path, *rest, **more) as temporary:
                yield temporary
        except OSError as error:
            # an error that names a file elsewhere is one of reading
            ours = error.filename is None or Path(str(error.filename)).parent in (path.parent, *path.parents)
            line = explained(error, path) if ours and error.errno in _REMEDIES else None
            if line is None:
                raise
            raise line from None

    return naming


class DeferredErrors(io.FileIO):
    """A file that records the first error of writing in `error`, and pretends that writing succeeds."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        try:
            while self.error is None and done < len(view):
                done += super().write(view[done:]) or 0
        except OSError as error:
            self.error = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


@contextmanager
def deferred_errors(path: Path) -> Iterator[DeferredErrors]:
    """A new file for HDF5 to write, with errors deferred until the library has closed the file.

    If it were told at once, HDF5 would print a page for every object that it cannot flush, and end in a segmentation
    fault. Who writes much checks `error` now and then. Raises the first error (OSError) at the end.
    """
    with DeferredErrors(path, "w+b") as file:
        try:
            yield file
        finally:
            if file.error is not None:
                raise file.error
