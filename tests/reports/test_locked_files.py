"""A file that is whole and cannot be read: the line names why, and nobody is told to throw it away."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from tagseg.artifacts.bundle import load_bundle, write_torch
from tagseg.artifacts.journal import Journal
from tagseg.artifacts.shard_sets import ShardSet
from tagseg.artifacts.shards import Shard, digest_of, write_shard
from tagseg.errors import TagsegError, read_error
from tagseg.images.files import read_image, read_labels, write_labels
from tagseg.networks.backbones.weights import read_weights

HARSH = ("delete", "remove", "replace", "again (snakemake")


def shard(path: Path) -> Path:
    with write_shard(path, "labels", {}) as writer:
        writer.put("a", {"labels": np.ones((40, 50), np.uint8)})
    return path


@contextmanager
def held(path: Path) -> Iterator[None]:
    """The file is open for writing in another program."""
    code = f"import h5py, sys; file = h5py.File({str(path)!r}, 'r+'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"open\n"
        yield
        other.communicate()


def refused(read: Callable[[], object], *parts: str) -> None:
    with pytest.raises(TagsegError) as caught:
        read()
    line = str(caught.value)
    assert "\n" not in line and all(part in line for part in parts), line
    assert not any(word in line for word in HARSH), line


@pytest.mark.parametrize("reader", [lambda path: Shard(path, "labels"), lambda path: ShardSet([path], "labels")])
def test_a_shard_that_another_program_holds(tmp_path: Path, reader: Callable[[Path], object]) -> None:
    path = shard(tmp_path / "a.h5")
    before = path.read_bytes()
    with held(path):
        refused(lambda: reader(path), f"{path}: ", "(errno 11)", "close the program", "HDF5_USE_FILE_LOCKING=FALSE")
    assert path.read_bytes() == before
    with Shard(path, "labels") as whole:
        assert whole.get("a", "labels").sum() == 2000


def test_without_locks_a_held_shard_is_read(tmp_path: Path) -> None:
    """The remedy of the line is one."""
    path = shard(tmp_path / "a.h5")
    code = "from pathlib import Path\nfrom tagseg.artifacts.shards import Shard\n"
    code += "print(Shard(Path('a.h5'), 'labels').ids())"
    with held(path):
        environment = {**os.environ, "HDF5_USE_FILE_LOCKING": "FALSE"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        )
    assert done.stdout == "['a']\n"


def test_a_held_shard_ends_a_command_with_one_line(tmp_path: Path, fails: Callable[[str], str]) -> None:
    path = shard(tmp_path / "a.h5")
    (tmp_path / "tags.csv").write_text("id,split,path,width,height,tags\n", encoding="utf-8")
    with held(path):
        line = fails(f"smooth --crf none --tags {tmp_path}/tags.csv --maps {path} --output {tmp_path}/out.h5")
    assert line.startswith(f"{path}: Resource temporarily unavailable (errno 11); close the program that has it open")


@pytest.mark.parametrize(
    ("number", "said", "remedy"),
    [
        (errno.ENOLCK, "unable to lock file, errno = {}, error message = '{}'", "HDF5_USE_FILE_LOCKING=FALSE"),
        (errno.EOPNOTSUPP, "unable to lock file, errno = {}, error message = '{}'", "HDF5_USE_FILE_LOCKING=FALSE"),
        (errno.EACCES, "unable to lock file, errno = {}, error message = '{}'", "HDF5_USE_FILE_LOCKING=FALSE"),
        (errno.EACCES, "unable to open file: errno = {}, error message = '{}'", "give read permission"),
        (errno.EIO, "file read failed: time = now, errno = {}, error message = '{}'", "may be whole"),
        (errno.ESTALE, "unable to open file: errno = {}, error message = '{}'", "network file system"),
        (errno.EMFILE, "unable to open file: errno = {}, error message = '{}'", "ulimit -n"),
    ],
)
@pytest.mark.parametrize("numbered", [True, False])  # h5py sets it, or only the text has it
def test_every_error_of_the_system_has_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str, remedy: str, numbered: bool
) -> None:
    path = shard(tmp_path / "a.h5")
    text = f"Unable to synchronously open file ({said.format(number, os.strerror(number))})"

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, text) if numbered else OSError(text)

    monkeypatch.setattr(h5py, "File", fail)
    refused(lambda: Shard(path, "labels"), f"{path}: {os.strerror(number)} (errno {number}); ", remedy)


def test_a_disk_that_fails_in_the_middle_of_a_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Can't synchronously read data (file read failed: errno = 5)")

    with Shard(shard(tmp_path / "a.h5"), "labels") as whole:
        monkeypatch.setattr(h5py.Dataset, "__getitem__", fail)
        refused(lambda: whole.get("a", "labels"), "a.h5: Input/output error (errno 5)", "may be whole")


def test_too_many_open_files(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.h5")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir()) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
    files = []
    try:
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                files.append(open(os.devnull))  # noqa: SIM115, PTH123 (until there are too many)
        refused(lambda: Shard(path, "labels"), f"{path}: Too many open files (errno 24); ", "ulimit -n")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for file in files:
            file.close()


def forbidden(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Opening any file for reading fails with an error of the system."""

    def fail(self: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "open", fail)
    monkeypatch.setattr("builtins.open", lambda name, *_, **__: fail(Path(name)))


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.EACCES, "read permission"), (errno.EIO, "may be whole"), (errno.EMFILE, "ulimit -n")]
)
def test_models_weights_and_photographs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    model, weights, mask = tmp_path / "model.pt", tmp_path / "w.pth", tmp_path / "a.png"
    write_torch(model, {"kind": "localization"})
    torch.save({"a": torch.ones(2)}, weights)
    write_labels(mask, np.zeros((40, 40), np.uint8))
    why = f"{os.strerror(number)} (errno {number}); "
    with monkeypatch.context() as patch:
        forbidden(patch, number)
        refused(lambda: load_bundle(model, "localization"), f"{model}: {why}", remedy)
        refused(lambda: read_weights(weights), f"{weights}: {why}", remedy)
        refused(lambda: read_image(mask), f"{mask}: {why}", remedy)
        refused(lambda: read_labels(mask), f"{mask}: {why}", remedy)
    assert load_bundle(model, "localization")["kind"] == "localization"


def test_too_little_memory_is_no_broken_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_torch(tmp_path / "model.pt", {"kind": "localization"})
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")):
        monkeypatch.setattr(torch, "load", lambda *_, error=error, **__: (_ for _ in ()).throw(error))
        refused(lambda: load_bundle(tmp_path / "model.pt", "localization"), "model.pt: too little memory to read it")


def test_what_is_broken_is_still_called_so(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.h5")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(TagsegError, match=r"not a whole tagseg HDF5 file \(truncated file\); make it again"):
        Shard(path, "labels")
    (tmp_path / "w.pth").write_text("no weights", encoding="utf-8")
    with pytest.raises(TagsegError, match="not a PyTorch weight file"):
        read_weights(tmp_path / "w.pth")
    assert read_error(ValueError("nonsense"), path) is None


def test_a_journal_on_a_failing_disk_is_not_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its images would be made again, and the journal removed at the end."""
    facts, stamps = {"kind": "labels"}, {"a": "1", "b": "1"}
    first = Journal(tmp_path / "a.h5", facts, stamps)
    first.put("a", {"labels": np.ones((4, 4), np.uint8)})
    first.close()
    (file,) = tmp_path.glob(".*.journal")
    with monkeypatch.context() as patch:
        forbidden(patch, errno.ESTALE)
        refused(lambda: Journal(tmp_path / "a.h5", facts, stamps), f"{file}: Stale file handle (errno 116)")
    again = Journal(tmp_path / "a.h5", facts, stamps)
    assert again.done == {"a"}
    again.close()


def test_a_digest_of_a_file_that_cannot_be_read_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shard(tmp_path / "a.h5")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("hashlib.file_digest", fail)
    refused(lambda: digest_of([path]), f"{path}: Input/output error (errno 5)", "may be whole")
