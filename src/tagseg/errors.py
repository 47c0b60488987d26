"""The exception whose text is meant for the user, and what it says about a file that could not be read."""

import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path

_HELD = (
    "close the program that has it open, or, where its file system has no locks, set HDF5_USE_FILE_LOCKING=FALSE; the "
    "file itself is not to blame"
)
FORBIDDEN = "give read permission for it and its folder"
_OUT_OF_REACH = "its disk or network file system failed: see to that, then run again; the file may be whole"
TOO_MANY = "allow more open files (ulimit -n), then run again"
_LOCKS = {errno.EAGAIN, errno.EDEADLK, errno.ENOLCK, errno.EBUSY}
_REMEDIES = {
    errno.ENOENT: "see that it is there, then run again",
    errno.EACCES: FORBIDDEN,
    errno.EPERM: FORBIDDEN,
    errno.EISDIR: "name a file in that folder",
    errno.EMFILE: TOO_MANY,
    errno.ENFILE: TOO_MANY,
    errno.ENOMEM: "free some memory, then run again",
    errno.EINTR: "run again",
}
_NO_MEMORY = re.compile(r"(can't|cannot|could not) allocate memory|not enough memory", re.IGNORECASE)
# How HDF5, Python and Rust write the number of a system error in a message.
_NUMBER = re.compile(r"(?:errno = |\[Errno |os error )(\d+)")
_BLOCK = 1 << 20


class TagsegError(Exception):
    """Bad input, a missing file, an unsuitable machine. One line: what it is, what is wrong, how to fix it.

    The command line prints it without a traceback and exits with status 2.
    """


def first_of(names: Sequence[str], most: int = 3) -> str:
    """The first of several names, in one line of a message."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def one_line(error: Exception) -> str:
    """The message of a library's error on one line, at most 200 characters; its type if there is no message."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def read_error(error: BaseException, path: Path) -> TagsegError | None:
    """The error to raise if reading failed for a reason other than the file's content; None if the content is to blame.

    Its line names the file, the system's error with its number, and the remedy. If a library's error does not mention
    the system, the file is read through once to see whether that works.
    """
    if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
        return TagsegError(f"{path}: too little memory to read it; free some, then run again")
    number = _number(error)
    if number is None:
        try:
            with path.open("rb") as file:
                while file.read(_BLOCK):
                    pass
        except OSError as again:
            number = again.errno
    if number is None:
        return None
    held = number in _LOCKS or " lock " in str(error)  # HDF5: unable to lock file, with any number
    remedy = _HELD if held else _REMEDIES.get(number, _OUT_OF_REACH)
    return TagsegError(f"{path}: {os.strerror(number)} (errno {number}); {remedy}")


def _number(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _NUMBER.search(str(error))
    return int(found[1]) if found else None
