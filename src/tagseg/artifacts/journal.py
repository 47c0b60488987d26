"""Journals, from which an interrupted stage resumes: the finished images of a shard, in append-only files.

A process appends each image that it finishes to a journal of its own beside the shard, `.NAME.XXXXXXXX.journal`, and
reads those that earlier processes left. So a kill costs only the image in progress; a truncated record, after a kill or
a power failure, ends its journal. Each process writes to its own file, so none needs a lock: if two make the same shard
at once, at worst each repeats the other's work.

A journal begins with the facts of its shard, which all images depend on. Each image also has a stamp, of what it alone
depends on. A journal with other facts, or an image with another stamp, is not used.
"""

import glob
import json
import logging
import os
import secrets
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tagseg.artifacts.facts import as_json, difference
from tagseg.errors import read_error

log = logging.getLogger(__name__)

_SIZES = struct.Struct("<III")  # how a record begins: bytes of its head, bytes of its body, checksum of both


@dataclass(frozen=True)
class Packed:
    """An array as HDF5 stores it: plain, or shuffled (first bytes of all values, then the next) and deflated."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    content: bytes
    deflated: bool = True

    @classmethod
    def of(cls, array: np.ndarray, deflate: bool = True) -> "Packed":
        """Pack an array of any shape and dtype losslessly."""
        if not deflate:
            return cls(array.dtype, array.shape, array.tobytes(), deflated=False)
        values = np.frombuffer(array.tobytes(), dtype=np.uint8).reshape(-1, array.dtype.itemsize)
        return cls(array.dtype, array.shape, zlib.compress(values.T.tobytes(), 4))


@dataclass(frozen=True)
class _Place:
    """Where the arrays of an image are: in `file` from byte `start` on, as `head` lists them."""

    file: BinaryIO
    start: int
    head: dict[str, Any]


class Journal:
    """The finished images of one shard. `stamps` gives its image ids, each with what that image depends on."""

    def __init__(self, shard: Path, facts: Mapping[str, Any], stamps: Mapping[str, str]):
        self.shard = shard
        self._facts = as_json(facts)
        self._stamps = stamps
        self._places: dict[str, _Place] = {}
        self._own: BinaryIO | None = None
        self._own_path: Path | None = None
        self._files: list[BinaryIO] = []
        if stamps:
            for path in _journals(shard):
                self._resume_from(path)
        self.done = frozenset(self._places)
        if self.done:
            log.info("%s: resuming, %d of %d images are done", shard, len(self.done), len(stamps))

    def put(self, image_id: str, arrays: Mapping[str, np.ndarray], deflate: bool = True) -> None:
        """Append the arrays of an image, of any shapes and dtypes."""
        packed = {name: Packed.of(np.asarray(array), deflate) for name, array in arrays.items()}
        described = [[name, p.dtype.str, list(p.shape), len(p.content), p.deflated] for name, p in packed.items()]
        head = {"id": image_id, "stamp": self._stamps.get(image_id, ""), "arrays": described}
        body = b"".join(p.content for p in packed.values())
        if self._own is None:
            self._own_path = self.shard.with_name(f".{self.shard.name}.{secrets.token_hex(4)}.journal")
            self._own = self._own_path.open("x+b")
            self._files.append(self._own)
            self._append(self._own, self._facts, b"")
        self._places[image_id] = _Place(self._own, self._append(self._own, head, body), head)

    def images(self) -> Iterator[tuple[str, dict[str, Packed]]]:
        """Ids and packed arrays of all images: those with a stamp in the order of `stamps`, then the others as put."""
        ordered = dict.fromkeys(image_id for image_id in (*self._stamps, *self._places) if image_id in self._places)
        for image_id in ordered:
            place = self._places[image_id]
            place.file.seek(place.start)
            yield (
                image_id,
                {
                    name: Packed(np.dtype(dtype), tuple(shape), place.file.read(size), *deflated)
                    for name, dtype, shape, size, *deflated in place.head["arrays"]  # earlier versions deflated all
                },
            )

    def clear(self) -> None:
        """Remove all journals of the shard, those with other facts too: it is written."""
        for path in _journals(self.shard):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files. Without stamps nothing can resume from this process's journal, and it is removed."""
        for file in self._files:
            with suppress(OSError):  # a full disk, which was reported when the image was put
                file.close()
        if self._own_path is not None and not self._stamps:
            self._own_path.unlink(missing_ok=True)

    @staticmethod
    def _append(file: BinaryIO, head: dict[str, Any], body: bytes) -> int:
        """Write a record and flush it, so that a kill does not lose it; return where its body starts."""
        text = json.dumps(head, sort_keys=True).encode()
        end = file.seek(0, os.SEEK_END)
        file.write(_SIZES.pack(len(text), len(body), zlib.crc32(body, zlib.crc32(text))) + text + body)
        file.flush()
        return end + _SIZES.size + len(text)

    def _resume_from(self, path: Path) -> None:
        """Take over the images of a journal that an earlier process left."""
        try:
            file = path.open("rb")
        except (FileNotFoundError, PermissionError) as error:  # just removed, or another user's
            log.warning("%s: not used, it cannot be read: %s", path, error.strerror)
            return
        except OSError as error:
            raise read_error(error, path) or error from None
        records = _records(file, path)
        _, facts = next(records, (0, None))
        if facts != self._facts:
            gap = "it does not say which" if facts is None else difference(facts, self._facts)
            log.warning("%s: not used, it is of another shard: %s", path, gap)
            file.close()
            return
        self._files.append(file)
        for start, head in records:
            if self._stamps.get(head["id"]) == head["stamp"]:
                self._places[head["id"]] = _Place(file, start, head)


def _journals(shard: Path) -> list[Path]:
    return sorted(shard.parent.glob(f".{glob.escape(shard.name)}.{'[0-9a-f]' * 8}.journal"))


def _records(file: BinaryIO, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Where the body of each whole record starts, and its head. Raises TagsegError if the disk fails."""

    def read(size: int) -> bytes:
        try:
            return file.read(size)
        except OSError as error:
            raise read_error(error, path) or error from None

    while len(sizes := read(_SIZES.size)) == _SIZES.size:
        head_size, body_size, checksum = _SIZES.unpack(sizes)
        text = read(head_size)
        start = file.tell()
        body = read(body_size)
        if len(body) != body_size or zlib.crc32(body, zlib.crc32(text)) != checksum:
            return
        with suppress(ValueError):
            yield start, json.loads(text)
