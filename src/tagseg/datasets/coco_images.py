"""Find the photographs that COCO files name by a path, with any folders before it, or by a URL."""

import re
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tagseg.config.names import nfc
from tagseg.datasets.folder_names import Photographs, image_id
from tagseg.errors import TagsegError

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


class CocoPhotographs:
    """The photographs below a folder, found by their names in an annotation file.

    Raises TagsegError if the folder is missing.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._paths = Photographs(folder).paths
        self._by_name: dict[str, list[str]] = {}
        for key in self._paths:
            self._by_name.setdefault(key.rpartition("/")[2], []).append(key)

    def find(self, written: str) -> tuple[str, Path | None]:
        """The id of an image and its photograph; None if it is missing, and then the id is that of its name.

        A relative name is a path below the folder, with `/` or `\\`; it may begin with the last parts of the folder's
        own path. An absolute path or a URL is matched from its end, by as many parts as possible, at least by a unique
        file name. Raises TagsegError (`what; remedy`) if several photographs match.
        """
        name = nfc(written)
        key = name if name in self._paths else self._key(*_parts(name))
        if key:
            return image_id(key), self._paths[key]
        return image_id("/".join(_parts(name)[0]) or name), None

    def _key(self, parts: list[str], foreign: bool) -> str:
        if not parts:
            return ""
        own = list(self.folder.resolve().parts)
        for i in range(len(parts)):
            below = "/".join(parts[i:])
            if below in self._paths and (foreign or i == 0 or parts[:i] == own[-i:]):
                return below
        fitting = self._by_name.get(parts[-1], []) if foreign else []
        if len(fitting) > 1:
            raise TagsegError(
                f"it may be {fitting[0]} or {fitting[1]}; write its whole path below {self.folder} as file_name"
            )
        return fitting[0] if fitting else ""


def _parts(name: str) -> tuple[list[str], bool]:
    """The parts of a path, and whether it is foreign: not relative to the folder of photographs."""
    foreign = name.startswith(("/", "\\")) or bool(_DRIVE.match(name)) or "://" in name
    if "://" in name or name.startswith("/data/local-files"):
        try:
            link = urlsplit(name)
        except ValueError:  # brackets that are not an IP address
            return [name], True
        # Label Studio's URLs of local files
        name = parse_qs(link.query).get("d", [unquote(link.path)])[0]
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return [part for part in parts if part != ".." and not part.endswith(":")], foreign or ".." in parts
