"""The photographs below a folder, under any names: how a table's names find them, and the ids that they get."""

import hashlib
import re
import unicodedata
from pathlib import Path, PurePosixPath

from tagseg.config.names import plain, trimmed, unquoted
from tagseg.errors import TagsegError
from tagseg.images.files import is_made
from tagseg.images.formats import SUFFIXES, form, is_photograph, is_unread, walk

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

    So are working copies that a project below it has. Pictures that tagseg made are among them, since to tell them
    takes a look into each file: `is_made` does.

    `paths` has them by their path below the folder (NFC, `/` between folders), in order; `folders` are all folders, and
    `unread` the paths of files that may be photographs and are of a form that is not read.
    Raises TagsegError if the folder is missing.
    """

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise TagsegError(f"{folder}: no such folder; put the photographs there")
        self.folder = folder
        self.folders: list[str] = []
        found: dict[str, str] = {}
        self._others: set[str] = set()
        self.unread: list[str] = []
        self._twice: set[str] = set()  # two files whose names differ in the form of their accents alone
        for base, below, folders, files in walk(folder):
            self.folders += [f"{below}{name}" for name in folders]
            # plain text, not Path: there may be a hundred thousand
            for name in files:
                if name.startswith("."):
                    continue
                key = nfc(f"{below}{name}")
                if is_photograph(name):
                    if key in found:
                        self._twice.add(key)
                    found[key] = f"{base}/{name}"
                else:
                    self._others.add(key)
                    if is_unread(name):
                        self.unread.append(f"{base}/{name}")
        self.unread.sort()
        self.paths = {key: Path(found[key]) for key in sorted(found)}
        self._made: dict[str, bool] = {}
        self._by_looks: dict[str, list[str]] = {}  # filled when first needed, as are ids
        self._by_id: dict[str, str] = {}
        self._by_name: dict[str, list[str]] = {}
        for key in self.paths:
            name = key.rpartition("/")[2]
            for known in {key, _stem(key), name, _stem(name)}:
                self._by_name.setdefault(known, []).append(key)

    def is_made(self, key: str) -> bool:
        """Whether the file of this path is a picture that tagseg made."""
        if key not in self._made:
            self._made[key] = is_made(self.paths[key])
        return self._made[key]

    def find(self, written: str) -> str:
        """The path below the folder of the photograph that a table calls `written`.

        That is its path below the folder or below the folder's parent, with or without suffix, `/` or `\\` between
        folders; or its name alone, if no other folder has one of that name; or its id. Quotes around it, and spaces
        and hidden characters that differ, do not count where nothing is called as it is written. Raises TagsegError
        with what is wrong and the remedy (`what; remedy`), without a place.
        """
        fitting = self._fitting(written)
        if len(fitting) > 1:
            fitting = [key for key in fitting if not self.is_made(key)] or fitting
        if len(fitting) > 1:
            raise TagsegError(
                f"image {written!r} may be {fitting[0]} or {fitting[1]}; write its whole path below {self.folder}"
            )
        if fitting and fitting[0] in self._twice:
            raise TagsegError(f"image {written!r} may be either of two files, as accents can be written; rename one")
        if fitting:
            return fitting[0]
        name = spellings(written)[-1]
        if name in self._others:
            raise TagsegError(
                f"image {written!r} is of a form that is not read ({form(name)}); convert it to JPEG or PNG"
            )
        thumbnails = next((key for key in self._others if key.endswith("/") and name.startswith(key)), "")
        if thumbnails:
            raise TagsegError(
                f"image {written!r} lies in {thumbnails}, which is passed over as a folder of thumbnails; "
                "rename that folder"
            )
        raise TagsegError(f"no image {written!r} under {self.folder}; add it or drop the line")

    def _fitting(self, written: str) -> list[str]:
        """The photographs that a name may mean, by the first of its readings that is some photograph's."""
        parent = f"{self.folder.name}/"
        names = [form for name in spellings(written) for form in dict.fromkeys((name, name.removeprefix(parent)))]
        for name in names:
            if name in self._by_name:
                found = self._by_name[name]
                exact = [key for key in found if key == name] or [key for key in found if _stem(key) == name]
                return exact or found
        if not self._by_looks:
            for name, keys in self._by_name.items():
                self._by_looks.setdefault(plain(name), []).extend(keys)
            self._by_id = {image_id(key): key for key in reversed(self.paths)}
        for name in names:
            if plain(name) in self._by_looks:
                return list(dict.fromkeys(self._by_looks[plain(name)]))
        return [self._by_id[name] for name in names[:1] if name in self._by_id]


def spellings(written: str) -> list[str]:
    """A file's name in a table or list as it may be meant: NFC, with `/` for `\\`, without `./`, without quotes."""
    names = [nfc(written), nfc(unquoted(trimmed(written)))]
    return list(dict.fromkeys(form for name in names for form in (name, name.replace("\\", "/").removeprefix("./"))))


def _stem(name: str) -> str:
    """A photograph's path without its suffix."""
    return name.rpartition(".")[0]


def nfc(name: str) -> str:
    """One spelling of a name: a macOS file's accents are characters of their own, a table's are not."""
    return unicodedata.normalize("NFC", name)
