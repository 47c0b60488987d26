"""Digests that show whether files were replaced: of names and sizes, which needs no reading, or of content.

Modification times are left out on purpose: they change when a data set is copied or unpacked elsewhere. So a digest of
sizes misses a file that was replaced by another of exactly as many bytes.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def files_below(folder: Path) -> list[Path]:
    """All files below a folder that are not hidden, sorted; none if there is no such folder."""
    found = []
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [f"{base}/{name}" for name in names if not name.startswith(".")]
    return [Path(name) for name in sorted(found)]


def size_digest(files: Iterable[Path]) -> str:
    """A digest of the names and sizes of files (a missing one counts by its name); '' if there are no files."""
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


def content_digest(path: Path) -> str:
    """A digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
