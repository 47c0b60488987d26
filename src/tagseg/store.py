"""The artifacts on disk: HDF5 shards and atomically written files.

A shard is one HDF5 file with a group for each image id. Every file is written under a temporary name in its own
folder and renamed when whole, so a reader sees the old file, the new one, or none.
"""

import glob
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from tagseg import __version__
from tagseg.errors import TagsegError

_STRUCTURE_CACHE = 16 * 1024  # bytes, as they are on the disk


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    A process that was killed leaves its temporary file; it goes when the file itself is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        temporary.replace(path)
        for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
            left.unlink(missing_ok=True)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


class ShardWriter:
    """Writes one shard.

    `kind` says what the arrays are and is checked by the reader; `parameters` (JSON-able) and the package's version
    travel as attributes. The bytes depend on the content alone: no times, no order of hashing.
    """

    def __init__(self, file: h5py.File, kind: str, parameters: Mapping[str, Any]):
        self._file = file
        file.attrs["kind"] = kind
        file.attrs["parameters"] = json.dumps(dict(parameters), sort_keys=True)
        file.attrs["tagseg"] = __version__

    def put(self, image_id: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Store the arrays of one image, losslessly compressed, under its id."""
        group = self._file.create_group(image_id)
        for name, array in arrays.items():
            group.create_dataset(name, data=array, compression="gzip", compression_opts=4, shuffle=True)


@contextmanager
def write_shard(path: Path, kind: str, parameters: Mapping[str, Any]) -> Iterator[ShardWriter]:
    """Open a shard for writing; it appears under `path` when the block ends without an error."""
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        yield ShardWriter(file, kind, parameters)


class Shard:
    """Reads one shard of the expected kind.

    Raises TagsegError if the file is missing, not HDF5, cut short, or of another kind.
    """

    def __init__(self, path: Path, kind: str | tuple[str, ...]):
        self.path = path
        if not path.is_file():
            raise TagsegError(f"{path}: no such file; make it first (snakemake {path})")
        try:
            self._file = h5py.File(path, "r")
            found = str(self._file.attrs["kind"])
        except (OSError, KeyError):
            raise TagsegError(f"{path}: not a whole tagseg HDF5 file; delete it and run again") from None
        _keep_little(self._file)
        self.kind = found
        kinds = (kind,) if isinstance(kind, str) else kind
        if found not in kinds:
            self._file.close()
            raise TagsegError(f"{path}: holds {found}, but {' or '.join(kinds)} is needed; give the right file")

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._file

    def names(self, image_id: str) -> list[str]:
        """Names of an image's arrays, sorted. Raises TagsegError if the image is not there."""
        if image_id not in self._file:
            raise TagsegError(f"{self.path}: no image {image_id!r}; delete the file and run again")
        return sorted(self._file[image_id])

    def get(self, image_id: str, name: str) -> np.ndarray:
        """Array `name` of one image. Raises TagsegError if it is not there or cannot be read."""
        try:
            return np.asarray(self._file[image_id][name][()])
        except (KeyError, OSError):
            raise TagsegError(
                f"{self.path}: no readable {name} of image {image_id!r}; delete the file and run again"
            ) from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _keep_little(file: h5py.File) -> None:
    """Bound what HDF5 remembers of the structure of a file that is read once, image by image.

    Left alone it keeps 35 KB of every image until the file is closed: gigabytes where a data set is large. A tenth of
    that counts towards the bound, so this one comes to 160 KB a file.
    """
    cache = file.id.get_mdc_config()
    cache.set_initial_size = True
    cache.initial_size = cache.min_size = cache.max_size = _STRUCTURE_CACHE
    file.id.set_mdc_config(cache)


class ShardSet:
    """Several shards read as one: finds the shard that holds an image. All are opened, and so checked, at once."""

    def __init__(self, paths: list[Path], kind: str | tuple[str, ...]):
        self._shards = [Shard(path, kind) for path in paths]

    def __contains__(self, image_id: str) -> bool:
        return any(image_id in shard for shard in self._shards)

    def get(self, image_id: str, name: str) -> np.ndarray:
        """Array `name` of one image. Raises TagsegError if no shard holds it."""
        return self._holder(image_id).get(image_id, name)

    def names(self, image_id: str) -> list[str]:
        """Which arrays there are of one image. Raises TagsegError if no shard holds it."""
        return self._holder(image_id).names(image_id)

    def _holder(self, image_id: str) -> Shard:
        for shard in self._shards:
            if image_id in shard:
                return shard
        files = ", ".join(str(shard.path) for shard in self._shards)
        raise TagsegError(f"image {image_id!r} is in none of {files}; run the stage that makes them again")
