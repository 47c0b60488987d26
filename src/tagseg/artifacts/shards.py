"""The artifacts on disk: HDF5 shards and atomically written files.

A shard is one HDF5 file with a group for each image id. Every file is written under a temporary name in its own
folder and renamed when whole, so a reader sees the old file, the new one, or none.
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
from tagseg.artifacts.disk import explained, patient
from tagseg.artifacts.journal import Journal, Packed
from tagseg.errors import TagsegError, barred

_STRUCTURE_CACHE = 16 * 1024  # bytes, as they are on the disk
# What h5py raises where an entry is not there, or what should be one is nonsense.
_UNREADABLE = (KeyError, OSError, RuntimeError, ValueError)


def digest_of(paths: Iterable[Path]) -> str:
    """One digest of the content of files, in their order."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            if error.filename is None:  # it was opened, but could not be read
                raise barred(error, path) or error from None
            raise
    return digest.hexdigest()[:16]


class _Named(Protocol):
    @property
    def id(self) -> str: ...


Record = TypeVar("Record", bound=_Named)


class ShardWriter:
    """Writes one shard: its images go to a journal (see there) until all are done."""

    def __init__(self, journal: Journal):
        self._journal = journal
        self.done = journal.done  # ids of the images that a killed process had finished

    def left(self, records: Sequence[Record]) -> list[Record]:
        """The records whose images are still to be put."""
        return [record for record in records if record.id not in self.done]

    def put(self, image_id: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Store the arrays of one image, losslessly compressed, under its id. Raises TagsegError on a full disk."""
        try:
            self._journal.put(image_id, arrays)
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
    """Open a shard for writing; it appears under `path` when the block ends without an error.

    `kind` says what the arrays are and is checked by the reader; `parameters` (JSON-able) and the package's version
    travel as attributes. The bytes depend on the content alone: no times, no order of hashing.

    Where `stamps` says what each image depends on alone, in the shard's order, and `inputs` are the files that all
    depend on, images that a killed process had finished are taken over: only those `left` need to be put, and the
    bytes are those of an unbroken run. Without `stamps` images stand in the order in which they are put.
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
        with atomic(path) as temporary, patient(temporary) as disk, h5py.File(disk, "w") as file:
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
    """A data set of one chunk, which is read whole. HDF5 has no chunk without a value."""
    if 0 in packed.shape:
        group.create_dataset(name, packed.shape, packed.dtype)
        return
    how = {"chunks": packed.shape, "compression": "gzip", "compression_opts": 4, "shuffle": True}
    stored = group.create_dataset(name, packed.shape, packed.dtype, **how)
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
            raise barred(error, path) or self._broken(f"not a whole tagseg HDF5 file ({_reason(error)})") from None
        try:
            found = str(self._file.attrs["kind"])
        except _UNREADABLE as error:
            self._file.close()
            raise barred(error, path) or TagsegError(
                f"{path}: not a tagseg HDF5 file (it does not say its kind); give the right file"
            ) from None
        _keep_little(self._file)
        self.kind = found
        kinds = (kind,) if isinstance(kind, str) else kind
        if found not in kinds:
            self._file.close()
            raise TagsegError(f"{path}: holds {found}, but {' or '.join(kinds)} is needed; give the right file")

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._file

    def ids(self) -> list[str]:
        """The images that it holds, sorted. Raises TagsegError if they cannot be listed."""
        try:
            return list(self._file)
        except _UNREADABLE as error:
            raise barred(error, self.path) or self._broken("its images cannot be listed") from None

    def names(self, image_id: str) -> list[str]:
        """Names of an image's arrays, sorted. Raises TagsegError if the image is not there."""
        if image_id not in self._file:
            raise self._broken(f"no image {image_id!r}")
        try:
            return sorted(self._file[image_id])
        except _UNREADABLE as error:
            raise barred(error, self.path) or self._broken(f"image {image_id!r} cannot be read") from None

    def get(self, image_id: str, name: str) -> np.ndarray:
        """Array `name` of one image. Raises TagsegError if it is not there, cannot be read, or has NaN in it."""
        try:
            array = np.asarray(self._file[image_id][name][()])
        except KeyError:
            raise self._broken(f"no {name} of image {image_id!r}") from None
        except (OSError, RuntimeError, MemoryError) as error:
            raise barred(error, self.path) or self._broken(f"no readable {name} of image {image_id!r}") from None
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise TagsegError(
                f"{self.path}: {name} of image {image_id!r} has values that are no numbers (NaN); make again what "
                "it is made of"
            )
        return array

    def _broken(self, what: str) -> TagsegError:
        """The error of a content that was read and is not whole: it is made anew in its place."""
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
    """What HDF5 found: `Unable to ... (truncated file: eof = ...)` -> `truncated file`."""
    return str(error).partition("(")[2].partition(":")[0].rstrip(")") or str(error)


def _keep_little(file: h5py.File) -> None:
    """Bound what HDF5 remembers of the structure of a file that is read once, image by image.

    Left alone it keeps 35 KB of every image until the file is closed: gigabytes where a data set is large. A tenth of
    that counts towards the bound, so this one comes to 160 KB a file.
    """
    cache = file.id.get_mdc_config()
    cache.set_initial_size = True
    cache.initial_size = cache.min_size = cache.max_size = _STRUCTURE_CACHE
    file.id.set_mdc_config(cache)
