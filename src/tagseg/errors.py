"""The one exception whose text is meant for the person at the keyboard, and what to say of a file that was not read."""

import errno
import os
import re
from pathlib import Path

_HELD = (
    "close the program that has it open, or, where its file system has no locks, set HDF5_USE_FILE_LOCKING=FALSE; the "
    "file itself is not to blame"
)
_FORBIDDEN = "give read permission for it and its folder"
_OUT_OF_REACH = "its disk or network file system failed: see to that, then run again; the file may be whole"
_TOO_MANY = "allow more open files (ulimit -n), then run again"
_LOCKS = {errno.EAGAIN, errno.EDEADLK, errno.ENOLCK, errno.EBUSY}
_REMEDIES = {
    errno.ENOENT: "see that it is there, then run again",
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EISDIR: "name a file in that folder",
    errno.EMFILE: _TOO_MANY,
    errno.ENFILE: _TOO_MANY,
    errno.ENOMEM: "free some memory, then run again",
    errno.EINTR: "run again",
}
_NO_MEMORY = re.compile(r"(can't|cannot|could not) allocate memory|not enough memory", re.IGNORECASE)
# How libraries say in a text which error the operating system gave: HDF5, Python, Rust.
_NUMBER = re.compile(r"(?:errno = |\[Errno |os error )(\d+)")
_BLOCK = 1 << 20


class TagsegError(Exception):
    """Bad input, a missing file, an unsuitable machine. One line: what it is, what is wrong, how to mend it.

    The command line prints it without a traceback and exits with status 2.
    """


def barred(error: BaseException, path: Path) -> TagsegError | None:
    """The one line of a failed read that is not the fault of what is in the file; None where the content is to blame.

    It names the file, the system's error and its number, and the remedy. Where the error of a library says nothing of
    the system, the file is read once through, to see whether that can be done.
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
    held = number in _LOCKS or " lock " in str(error)  # HDF5: unable to lock file, of whatever number
    remedy = _HELD if held else _REMEDIES.get(number, _OUT_OF_REACH)
    return TagsegError(f"{path}: {os.strerror(number)} (errno {number}); {remedy}")


def _number(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _NUMBER.search(str(error))
    return int(found[1]) if found else None
