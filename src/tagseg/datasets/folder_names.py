"""The photographs below a folder: how names in tables are matched to them, and the ids that they get."""

import hashlib
import re
from pathlib import Path, PurePosixPath

from tagseg.config.names import nfc, plain, trimmed, unquoted
from tagseg.errors import TagsegError
from tagseg.images.files import is_made
from tagseg.images.formats import SUFFIXES, format_name, is_photograph, is_unread, walk

_LONGEST_ID = 200  # bytes of UTF-8: a file name has at most 255, and artifacts add suffixes and temporary marks
_UNSAFE = re.compile(r'[\x00-\x1f\x7f\ud800-\udfff\\:*?"<>|]|^[.\s]|[.\s]$')


def image_id(name: str) -> str:
    """The id of a photograph from its path below the folder, with `/`: a safe name for files and HDF5 groups.

    The suffix is dropped, and `/` becomes `__`: `001.jpg` gives 001, `dog/001.jpg` gives dog__001. Characters that some
    system forbids in file names become `_`. In that case, or if the name is too long or folders in it would be
    ambiguous, six digits of a digest of the path are appended. An id depends on its own path alone, so it stays when
    other images come or go.
    """
    path = PurePosixPath(nfc(name))
    whole = path.with_suffix("").as_posix() if path.suffix.lower() in SUFFIXES else path.as_posix()
    parts = whole.split("/")
    safe = [_UNSAFE.sub("_", part) for part in parts]
    readable = "__".join(safe)
    doubt = len(parts) > 1 and any("__" in part or part != part.strip("_") for part in parts)
    if safe == parts and not doubt and len(readable.encode()) <= _LONGEST_ID:
        return readable
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return readable.encode("utf-8", "replace")[:_LONGEST_ID].decode("utf-8", "ignore") + f"-{digest}"


class Photographs:
    """The image files below a folder, at any depth, without hidden ones (`.name`) and a project's working copies.

    Pictures that tagseg made are among them, since recognising one means opening it; `is_made` does that.

    `paths` holds their files by their path below the folder (NFC, with `/`), sorted; `folders` are all folders, and
    `unread` the paths of files that may be photographs but are in a format that is not read. Raises TagsegError if the
    folder is missing.
    """

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise TagsegError(f"{folder}: no such folder; put the photographs there")
        self.folder = folder
        self.folders: list[str] = []
        found: dict[str, str] = {}
        self._others: set[str] = set()
        self.unread: list[str] = []
        self._twice: set[str] = set()  # names that two files share once their accents are normalised
        for base, below, folders, files in walk(folder):
            self.folders += [f"{below}{name}" for name in folders]
            # strings instead of Path, which is slow for a hundred thousand files
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
        self._by_plain_name: dict[str, list[str]] = {}  # filled when first needed, as is `_by_id`
        self._by_id: dict[str, str] = {}
        self._by_name: dict[str, list[str]] = {}
        for key in self.paths:
            name = key.rpartition("/")[2]
            for known in {key, _stem(key), name, _stem(name)}:
                self._by_name.setdefault(known, []).append(key)

    def is_made(self, key: str) -> bool:
        """Whether the file with this path below the folder is a picture that tagseg made."""
        if key not in self._made:
            self._made[key] = is_made(self.paths[key])
        return self._made[key]

    def find(self, written: str) -> str:
        """The path below the folder of the photograph that a table calls `written`.

        `written` may be its path below the folder or below the folder's parent, with or without suffix, with `/` or
        `\\`; or its file name alone, if that is unique; or its id. If nothing matches exactly, quotes around it and
        differences in spaces and hidden characters are ignored. Raises TagsegError with what is wrong and the remedy
        (`what; remedy`), without a file and line.
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
                f"image {written!r} is in a format that is not read ({format_name(name)}); convert it to JPEG or PNG"
            )
        thumbnails = next((key for key in self._others if key.endswith("/") and name.startswith(key)), "")
        if thumbnails:
            raise TagsegError(
                f"image {written!r} lies in {thumbnails}, which is passed over as a folder of thumbnails; "
                "rename that folder"
            )
        raise TagsegError(f"no image {written!r} under {self.folder}; add it or drop the line")

    def _fitting(self, written: str) -> list[str]:
        """The photographs that a name may mean, by the first of its spellings that any photograph has."""
        parent = f"{self.folder.name}/"
        names = [form for name in spellings(written) for form in dict.fromkeys((name, name.removeprefix(parent)))]
        for name in names:
            if name in self._by_name:
                found = self._by_name[name]
                exact = [key for key in found if key == name] or [key for key in found if _stem(key) == name]
                return exact or found
        if not self._by_plain_name:
            for name, keys in self._by_name.items():
                self._by_plain_name.setdefault(plain(name), []).extend(keys)
            self._by_id = {image_id(key): key for key in reversed(self.paths)}
        for name in names:
            if plain(name) in self._by_plain_name:
                return list(dict.fromkeys(self._by_plain_name[plain(name)]))
        return [self._by_id[name] for name in names[:1] if name in self._by_id]


def spellings(written: str) -> list[str]:
    """What a file name in a table or list may mean: in NFC, with `/` for `\\`, without `./`, without quotes."""
    names = [nfc(written), nfc(unquoted(trimmed(written)))]
    return list(dict.fromkeys(form for name in names for form in (name, name.replace("\\", "/").removeprefix("./"))))


def _stem(name: str) -> str:
    """A photograph's path without its suffix."""
    return name.rpartition(".")[0]
