"""Whether files have been replaced: looked at by name and size, which costs no reading and is the same everywhere.

Times of change are left out on purpose: a data set that was copied or unpacked elsewhere has others, and nothing of it
is new. The price: a file replaced by another of exactly as many bytes is not noticed.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def files_below(folder: Path) -> list[Path]:
    """All files below a folder that are not hidden; none where there is no folder."""
    found = []
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [f"{base}/{name}" for name in names if not name.startswith(".")]
    return [Path(name) for name in sorted(found)]


def state(files: Iterable[Path]) -> str:
    """A digest of the names and sizes of files; of one that is missing, of its name. Empty if there are no files."""
    digest = hashlib.sha256()
    none = True
    for path in files:
        none = False
        try:
            size = os.stat(path).st_size  # noqa: PTH116 (in half the time of path.stat, and there are many)
        except OSError:
            size = -1
        digest.update(f"{path}\0{size}\n".encode("utf-8", "surrogateescape"))
    return "" if none else digest.hexdigest()[:16]


def content(path: Path) -> str:
    """A digest of what is in a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
