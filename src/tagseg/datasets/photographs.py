"""The photographs below a folder, under any names: how a table's names find them, and the ids that they get."""

import hashlib
import os
import re
import unicodedata
from pathlib import Path, PurePosixPath

from tagseg.datasets.images import SUFFIXES
from tagseg.errors import TagsegError

_LONGEST_ID = 200  # bytes of UTF-8: a file's name has 255, and artifacts add suffixes and a mark while they are written
_UNSAFE = re.compile(r'[\x00-\x1f\x7f\ud800-\udfff\\:*?"<>|]|^[.\s]|[.\s]$')


def image_id(name: str) -> str:
    """The id of a photograph by its path below the folder, `/` between folders: a safe name of files and HDF5 groups.

    The suffix goes, and `/` becomes `__`: `001.jpg` is 001, `dog/001.jpg` is dog__001. What a file's name cannot hold
    on any system becomes `_`; then, if a name is too long, or if a folder's name leaves doubt where it ends, six digits
    of a digest of the path follow. An id depends on its own path alone, so it stays when other images come or go.
    """
    path = PurePosixPath(unicodedata.normalize("NFC", name))
    whole = path.with_suffix("").as_posix() if path.suffix.lower() in SUFFIXES else path.as_posix()
    parts = whole.split("/")
    safe = [_UNSAFE.sub("_", part) for part in parts]
    readable = "__".join(safe)
    doubt = len(parts) > 1 and any("__" in part or part != part.strip("_") for part in parts)
    if safe == parts and not doubt and len(readable.encode()) <= _LONGEST_ID:
        return readable
    digest = hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return readable.encode("utf-8", "replace")[:_LONGEST_ID].decode("utf-8", "ignore") + f"-{digest}"


class Photographs:
    """The image files below a folder, in folders of any depth; hidden ones (`.name`) are passed over.

    `paths` has them by their path below the folder (NFC, `/` between folders), in order; `folders` are all folders.
    Raises TagsegError if the folder is missing.
    """

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise TagsegError(f"{folder}: no such folder; put the photographs there")
        self.folder = folder
        self.folders: list[str] = []
        found: dict[str, Path] = {}
        self._others: set[str] = set()
        for base, folders, files in os.walk(folder, followlinks=True):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
            real = Path(base).resolve()
            above = (real, *real.parents)  # where a link would lead round in a circle
            folders[:] = [name for name in folders if (Path(base) / name).resolve() not in above]
            below = Path(base).relative_to(folder)
            self.folders += [(below / name).as_posix() for name in folders]
            for name in files:
                path = Path(base) / name
                key = _plain((below / name).as_posix())
                if name.startswith("."):
                    continue
                if path.suffix.lower() in SUFFIXES:
                    found[key] = path
                else:
                    self._others.add(key)
        self.paths = dict(sorted(found.items()))
        self._by_name: dict[str, list[str]] = {}
        for key in self.paths:
            pure = PurePosixPath(key)
            for name in {key, pure.with_suffix("").as_posix(), pure.name, pure.stem}:
                self._by_name.setdefault(name, []).append(key)

    def find(self, written: str) -> str:
        """The path below the folder of the photograph that a table calls `written`.

        That is its path below the folder or below the folder's parent, with or without suffix, `/` or `\\` between
        folders; or its name alone, if no other folder has one of that name. Raises TagsegError with what is wrong and
        the remedy (`what; remedy`), without a place.
        """
        name = _plain(written)
        name = name if name in self._by_name else name.replace("\\", "/").removeprefix("./")
        if name not in self._by_name and name.startswith(f"{self.folder.name}/"):
            name = name.removeprefix(f"{self.folder.name}/")
        fitting = self._by_name.get(name, [])
        exact = [key for key in fitting if key == name] or [
            key for key in fitting if PurePosixPath(key).with_suffix("").as_posix() == name
        ]
        fitting = exact or fitting
        if len(fitting) > 1:
            raise TagsegError(
                f"image {written!r} may be {fitting[0]} or {fitting[1]}; write its whole path below {self.folder}"
            )
        if fitting:
            return fitting[0]
        if name in self._others:
            raise TagsegError(
                f"image {written!r} is of a form that is not read ({PurePosixPath(name).suffix or 'no suffix'}); "
                f"convert it to one of {' '.join(SUFFIXES)}"
            )
        raise TagsegError(f"no image {written!r} under {self.folder}; add it or drop the line")


def _plain(name: str) -> str:
    """One spelling of a name: a macOS file's accents are characters of their own, a table's are not."""
    return unicodedata.normalize("NFC", name)
