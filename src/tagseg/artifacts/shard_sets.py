"""Several shards read as one, and the notation that names them in one word of a command line."""

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tagseg.artifacts.shards import Shard
from tagseg.errors import TagsegError

_OPEN_FILES = 64  # per set of shards; a process may have 1024 files open, and reads six sets at most


def shard_paths(paths: Iterable[Path]) -> list[Path]:
    """Expand `{000..127}` in paths to a file for each of these numbers, as a shell does.

    The files of a data set with many shards would make a command line too long for the system.
    """
    found: list[Path] = []
    for path in paths:
        several = re.fullmatch(r"(.*)\{(\d+)\.\.(\d+)\}(.*)", str(path))
        if several is None:
            found.append(path)
        else:
            before, first, last, behind = several.groups()
            found += [Path(f"{before}{i:0{len(first)}}{behind}") for i in range(int(first), int(last) + 1)]
    return found


class ShardSet:
    """Several shards read as one: knows which of them holds an image. All are opened, and so checked, at the start.

    No more than a few dozen files are kept open. Threads may share a set. Raises TagsegError for a shard that cannot be
    read, or an image that is in two.
    """

    def __init__(self, paths: Iterable[Path], kind: str | tuple[str, ...]):
        self.paths = shard_paths(paths)
        self._kind = kind
        self._open: OrderedDict[Path, Shard] = OrderedDict()
        self._turn = threading.RLock()
        self._holders: dict[str, Path] = {}
        for path in self.paths:
            for image_id in self._opened(path).ids():
                if image_id in self._holders:
                    raise TagsegError(
                        f"{path}: image {image_id!r} is in {self._holders[image_id]} as well; give shards of one cut"
                    )
                self._holders[image_id] = path

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._holders

    def get(self, image_id: str, name: str) -> np.ndarray:
        """Array `name` of one image. Raises TagsegError if no shard holds it."""
        with self._turn:
            return self._holder(image_id).get(image_id, name)

    def names(self, image_id: str) -> list[str]:
        """The names of one image's arrays. Raises TagsegError if no shard holds it."""
        with self._turn:
            return self._holder(image_id).names(image_id)

    def _holder(self, image_id: str) -> Shard:
        if image_id not in self._holders:
            files = ", ".join(str(path) for path in self.paths)
            raise TagsegError(f"image {image_id!r} is in none of {files}; run the stage that makes them again")
        return self._opened(self._holders[image_id])

    def _opened(self, path: Path) -> Shard:
        shard = self._open.get(path)
        if shard is None:
            if len(self._open) >= _OPEN_FILES:
                self._open.popitem(last=False)[1].close()
            shard = self._open[path] = Shard(path, self._kind)
        self._open.move_to_end(path)
        return shard
