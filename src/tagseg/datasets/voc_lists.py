"""Read VOC's lists of images, and find the photographs that they name."""

import re
from pathlib import Path

from tagseg.config.names import nfc
from tagseg.datasets.folder_names import Photographs
from tagseg.datasets.index import read_utf8
from tagseg.errors import TagsegError
from tagseg.images.formats import SUFFIXES

FOLDER = Path("ImageSets") / "Segmentation"
_DETECTION = Path("ImageSets") / "Main"  # used by tools that write boxes
_FLAGGED = re.compile(r'(?:"(.+)"|(.+?))(?:\s+-?[01])?')  # lists of a class flag whether an image shows it


class DevkitImages:
    """The photographs under `JPEGImages/`, in any format that is read, by their names in lists and masks."""

    def __init__(self, root: Path):
        self.folder = root / "JPEGImages"
        self._files: dict[str, list[Path]] = {}
        if self.folder.is_dir():
            for key, path in Photographs(self.folder).paths.items():
                self._files.setdefault(key.rpartition(".")[0], []).append(path)

    def knows(self, name: str) -> bool:
        """Whether there is such a photograph."""
        return name in self._files

    def path(self, name: str) -> Path:
        """The file of a photograph; if there is none, NAME.jpg as in VOC. Raises TagsegError if two match."""
        found = self._files.get(name, [])
        if len(found) > 1:
            raise TagsegError(f"{found[0]}: {found[1].name} is beside it, for one image {name!r}; keep one of the two")
        return found[0] if found else self.folder / f"{name}.jpg"


def list_path(root: Path, name: str) -> Path:
    """The file of a list: under `ImageSets/Segmentation`, or under `Main` if it is only there."""
    path, other = root / FOLDER / f"{name}.txt", root / _DETECTION / f"{name}.txt"
    return other if other.is_file() and not path.is_file() else path


def read_list(path: Path, images: DevkitImages) -> list[str]:
    """The names of a list's images: their paths below `JPEGImages/`, without suffix.

    A line is a name, which may contain spaces, be quoted, be followed by 1 or -1 (lists of a class), or have the
    photograph's suffix. If no photograph has this name, every word of the line is a name. Raises TagsegError if the
    list is missing, or a line is not text.
    """
    if not path.is_file():
        folders = [path.parents[2] / folder for folder in (FOLDER, _DETECTION)]
        there = sorted({file.stem for folder in folders for file in folder.glob("*.txt")})
        known = f" (there: {', '.join(there[:8])})" if there else ", a name of an image a line"
        raise TagsegError(
            f"{path}: no such list; set data.train and data.val to lists under ImageSets/Segmentation{known}; "
            "val: '' where there is none"
        )
    names: list[str] = []
    for number, line in enumerate(read_utf8(path).splitlines(), start=1):
        text = line.strip().replace("\t", " ")
        if not text:
            continue
        if not text.isprintable():
            raise TagsegError(f"{path}:{number}: {text[:40]!r} is not a name; save the list as UTF-8, a name a line")
        found = _FLAGGED.fullmatch(text)
        bare = (found[1] or found[2]) if found else text
        whole = [name for name in (_plain(text), _plain(bare)) if images.knows(name)]
        names += whole[:1] or ([_plain(bare)] if text.startswith('"') or bare != text else map(_plain, text.split()))
    return names


def _plain(name: str) -> str:
    """A name as a path below the folder of photographs, without suffix."""
    plain = nfc(name).replace("\\", "/").removeprefix("./")
    return plain.rpartition(".")[0] if plain.lower().endswith(SUFFIXES) else plain
