"""Shards, the artifacts of most stages: HDF5 files with a group of arrays for each image id.

A shard is written under a temporary name in its own folder and renamed when complete, so a reader sees the old file,
the new one, or none.
"""

import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import h5py
import numpy as np

from tagseg import __version__
from tagseg.artifacts.atomic import atomic
from tagseg.artifacts.disk import deferred_errors, explained
from tagseg.artifacts.journal import Journal, Packed
from tagseg.errors import TagsegError, read_error

_STRUCTURE_CACHE = 16 * 1024  # bytes, as stored on disk
# What h5py raises for an entry that is missing or malformed.
_UNREADABLE = (KeyError, OSError, RuntimeError, ValueError)


def digest_of(paths: Iterable[Path]) -> str:
    """One digest of the content of files, in the given order. Raises TagsegError if one cannot be read."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            if error.filename is None:  # opened, but then not readable
                raise read_error(error, path) or error from None
            raise
    return digest.hexdigest()[:16]


class _Named(Protocol):
    @property
    def id(self) -> str: ...


Record = TypeVar("Record", bound=_Named)


class ShardWriter:
    """Writes one shard; its images go to a journal until all are done."""

    def __init__(self, journal: Journal):
        self._journal = journal
        self.done = journal.done  # ids of the images that an interrupted process had finished

    def left(self, records: Sequence[Record]) -> list[Record]:
        """The records whose images have yet to be put."""
        return [record for record in records if record.id not in self.done]

    def put(self, image_id: str, arrays: Mapping[str, np.ndarray], *, deflate: bool = True) -> None:
        """Store the arrays of one image, of any shapes and dtypes, losslessly. Raises TagsegError on a full disk.

        Without `deflate` they are stored as they are: features hardly shrink, and deflating them takes longer than
        computing them.
        """
        try:
            self._journal.put(image_id, arrays, deflate)
        except OSError as error:
            raise explained(error, self._journal.shard) or error from None


@contextmanager
def write_shard(
    path: Path,
    kind: str,
    parameters: Mapping[str, Any],
    stamps: Mapping[str, str] | None = None,
    inputs: Iterable[Path] = (),
) -> Iterator[ShardWriter]:
    """Open a shard for writing; it appears at `path` when the block ends without an error.

    Args:
        path: the file to write.
        kind: says what the arrays are; readers check it.
        parameters: values that made the arrays (JSON); stored as an attribute, as is the package's version.
        stamps: for each image id, in the shard's order, what that image alone depends on. With them, images that an
            interrupted process had finished are taken over: only those `left` need to be put, and the bytes are those
            of an uninterrupted run. Without, images are stored in the order in which they are put.
        inputs: the files that all images depend on.

    The bytes depend on the content alone: there are no times in them. Raises TagsegError if the file cannot be written.
    """
    stamps = stamps or {}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explained(error, path) or error from None
    facts = {
        "kind": kind,
        "parameters": dict(parameters),
        "tagseg": __version__,
        "images": hashlib.sha256("\n".join(stamps).encode()).hexdigest()[:16],
        "inputs": digest_of(inputs),
    }
    journal = Journal(path, facts, stamps)
    try:
        yield ShardWriter(journal)
        with atomic(path) as temporary, deferred_errors(temporary) as disk, h5py.File(disk, "w") as file:
            file.attrs["kind"] = kind
            file.attrs["parameters"] = json.dumps(dict(parameters), sort_keys=True)
            file.attrs["tagseg"] = __version__
            for image_id, arrays in journal.images():
                group = file.create_group(image_id)
                for name, packed in arrays.items():
                    _create(group, name, packed)
                if disk.error is not None:
                    raise disk.error
        journal.clear()
    finally:
        journal.close()


def _create(group: h5py.Group, name: str, packed: Packed) -> None:
    """Create an HDF5 data set of one chunk, since it is read whole; HDF5 has no chunk of zero size."""
    if 0 in packed.shape:
        group.create_dataset(name, packed.shape, packed.dtype)
        return
    filters = {"compression": "gzip", "compression_opts": 4, "shuffle": True} if packed.deflated else {}
    stored = group.create_dataset(name, packed.shape, packed.dtype, chunks=packed.shape, **filters)
    stored.id.write_direct_chunk((0,) * len(packed.shape), packed.content)


class Shard:
    """Reads one shard of the expected kind.

    Raises TagsegError if the file is missing, not HDF5, cut short, or of another kind.
    """

    def __init__(self, path: Path, kind: str | tuple[str, ...]):
        self.path = path
        if not path.is_file():
            raise TagsegError(f"{path}: no such file; make it first (snakemake {shlex.quote(str(path))})")
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise read_error(error, path) or self._broken(f"not a whole tagseg HDF5 file ({_reason(error)})") from None
        try:
            found = str(self._file.attrs["kind"])
        except _UNREADABLE as error:
            self._file.close()
            raise read_error(error, path) or TagsegError(
                f"{path}: not a tagseg HDF5 file (it does not say its kind); give the right file"
            ) from None
        _limit_cache(self._file)
        self.kind = found
        kinds = (kind,) if isinstance(kind, str) else kind
        if found not in kinds:
            self._file.close()
            raise TagsegError(f"{path}: holds {found}, but {' or '.join(kinds)} is needed; give the right file")

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._file

    @property
    def parameters(self) -> dict[str, Any]:
        """The values that made its arrays. Raises TagsegError if they cannot be read."""
        try:
            found = json.loads(self._file.attrs["parameters"])
        except _UNREADABLE as error:
            raise read_error(error, self.path) or self._broken("its parameters cannot be read") from None
        return dict(found)

    def ids(self) -> list[str]:
        """Ids of its images, sorted. Raises TagsegError if they cannot be listed."""
        try:
            return list(self._file)
        except _UNREADABLE as error:
            raise read_error(error, self.path) or self._broken("its images cannot be listed") from None

    def names(self, image_id: str) -> list[str]:
        """Names of an image's arrays, sorted. Raises TagsegError if the image is missing."""
        if image_id not in self._file:
            raise self._broken(f"no image {image_id!r}")
        try:
            return sorted(self._file[image_id])
        except _UNREADABLE as error:
            raise read_error(error, self.path) or self._broken(f"image {image_id!r} cannot be read") from None

    def get(self, image_id: str, name: str) -> np.ndarray:
        """Array `name` of one image. Raises TagsegError if it is missing, cannot be read, or has NaN values."""
        try:
            array = np.asarray(self._file[image_id][name][()])
        except KeyError:
            raise self._broken(f"no {name} of image {image_id!r}") from None
        except (OSError, RuntimeError, MemoryError) as error:
            raise read_error(error, self.path) or self._broken(f"no readable {name} of image {image_id!r}") from None
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise TagsegError(f"{self.path}: {name} of image {image_id!r} has NaN values; make its inputs again")
        return array

    def _broken(self, what: str) -> TagsegError:
        """The error for a file that was read and is incomplete: it must be made again."""
        return TagsegError(f"{self.path}: {what}; make it again (snakemake --force {self.path})")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _reason(error: Exception) -> str:
    """What HDF5 reports: `Unable to ... (truncated file: eof = ...)` -> `truncated file`."""
    return str(error).partition("(")[2].partition(":")[0].rstrip(")") or str(error)


def _limit_cache(file: h5py.File) -> None:
    """Limit the metadata cache of HDF5 for a file that is read once, image by image.

    By default HDF5 keeps 35 KB for every image until the file is closed: gigabytes for a large data set. A tenth of
    that counts towards the limit, so this one comes to 160 KB a file.
    """
    cache = file.id.get_mdc_config()
    cache.set_initial_size = True
    cache.initial_size = cache.min_size = cache.max_size = _STRUCTURE_CACHE
    file.id.set_mdc_config(cache)
