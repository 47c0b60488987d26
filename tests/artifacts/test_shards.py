"""Artifacts on disk: whole or not there, equal bytes for equal content, errors that name the file."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from tagseg import __version__
from tagseg.artifacts.atomic import atomic, atomic_folder, write_text
from tagseg.artifacts.bundle import load_bundle, save_bundle
from tagseg.artifacts.shard_sets import ShardSet
from tagseg.artifacts.shards import Shard, write_shard
from tagseg.errors import TagsegError
from tagseg.images.files import write_labels

MASK = np.arange(12, dtype=np.uint8).reshape(3, 4)
MAPS = np.linspace(0, 1, 24).reshape(2, 3, 4).astype(np.float16)


def write(path: Path, kind: str = "labels", ids: tuple[str, ...] = ("b", "a"), **parameters: object) -> Path:
    with write_shard(path, kind, parameters) as writer:
        for image_id in ids:
            writer.put(image_id, {"labels": MASK, "maps": MAPS})
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# atomic files


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.txt"
    with atomic(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert names_in(path.parent) == ["file.txt"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="stop"), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["file.txt"]


def test_an_error_in_the_middle_of_a_shard_leaves_the_old_one(tmp_path: Path) -> None:
    path = write(tmp_path / "0.h5")
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), write_shard(path, "labels", {}) as writer:
        writer.put("c", {"labels": MASK})
        raise KeyboardInterrupt
    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["0.h5"]


def test_text_is_utf_8_with_the_lines_it_has(tmp_path: Path) -> None:
    write_text(tmp_path / "t", "Höhe\nzwei\n")
    assert (tmp_path / "t").read_bytes() == "Höhe\nzwei\n".encode()


# shards


def test_a_shard_gives_back_what_was_put(tmp_path: Path) -> None:
    with Shard(write(tmp_path / "0.h5"), "labels") as shard:
        for image_id in ("a", "b"):
            assert image_id in shard
            for name, array in (("labels", MASK), ("maps", MAPS)):
                got = shard.get(image_id, name)
                np.testing.assert_array_equal(got, array)
                assert got.dtype == array.dtype
        assert "c" not in shard
        assert shard.kind == "labels"


def test_a_shard_carries_its_parameters_and_version(tmp_path: Path) -> None:
    with h5py.File(write(tmp_path / "0.h5", "labels", beta=2, alpha=0.5)) as file:
        assert file.attrs["parameters"] == '{"alpha": 0.5, "beta": 2}'
        assert file.attrs["tagseg"] == __version__


def test_an_empty_array_and_an_empty_shard_can_be_written(tmp_path: Path) -> None:
    with write_shard(tmp_path / "0.h5", "cams", {}) as writer:
        writer.put("a", {"cams": np.zeros((0, 3, 4), dtype=np.float16)})
    with Shard(tmp_path / "0.h5", "cams") as shard:
        assert shard.get("a", "cams").shape == (0, 3, 4)
    write(tmp_path / "1.h5", ids=())
    with Shard(tmp_path / "1.h5", "labels") as shard:
        assert "a" not in shard


def test_equal_content_gives_equal_bytes_a_second_later(tmp_path: Path) -> None:
    first = write(tmp_path / "first.h5", gamma=1).read_bytes()
    time.sleep(1.1)
    assert write(tmp_path / "elsewhere" / "second.h5", gamma=1).read_bytes() == first
    assert write(tmp_path / "other.h5", gamma=2).read_bytes() != first


def test_one_of_several_kinds_is_taken_and_told(tmp_path: Path) -> None:
    with Shard(write(tmp_path / "0.h5", "scores"), ("probabilities", "scores")) as shard:
        assert shard.kind == "scores"


def refused(path: Path, *parts: str) -> "pytest.RaisesExc[TagsegError]":
    """One line: the file first, then all of `parts`."""
    pattern = "^" + re.escape(str(path)) + "".join(f"(?=.*{re.escape(part)})" for part in parts) + r"[^\n]*$"
    return pytest.raises(TagsegError, match=pattern)


def test_a_missing_shard_names_the_file_and_how_to_make_it(tmp_path: Path) -> None:
    path = tmp_path / "0.h5"
    with refused(path, "no such file", f"snakemake {path}"):
        Shard(path, "labels")


def test_a_shard_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "0.h5", "cams")
    with refused(path, "holds cams", "labels is needed"):
        Shard(path, "labels")
    with refused(path, "holds cams", "labels or scores is needed"):
        Shard(path, ("labels", "scores"))


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all" * 100])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "0.h5"
    path.write_bytes(content)
    with refused(path, "not a whole tagseg HDF5 file", "make it again (snakemake --force "):
        Shard(path, "labels")


@pytest.mark.parametrize("part", [0.3, 0.9])
def test_a_truncated_shard_is_refused(tmp_path: Path, part: float) -> None:
    path = write(tmp_path / "0.h5")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with refused(path, "not a whole tagseg HDF5 file", "make it again (snakemake --force "):
        Shard(path, "labels")


def test_hdf5_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "0.h5"
    with h5py.File(path, "w") as file:
        file["a"] = MASK
    with refused(path, "not a tagseg HDF5 file"):
        Shard(path, "labels")


def test_a_spoiled_array_names_file_and_image(tmp_path: Path) -> None:
    path = tmp_path / "0.h5"
    noise = np.random.default_rng(0).integers(0, 255, (40, 50), dtype=np.uint8)
    with write_shard(path, "labels", {}) as writer:
        writer.put("a", {"labels": noise})
    with h5py.File(path) as file:
        chunk = file["a/labels"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xff" * chunk.size
    path.write_bytes(bytes(content))
    with Shard(path, "labels") as shard, refused(path, "labels of image 'a'", "make it again (snakemake --force "):
        shard.get("a", "labels")


def test_an_image_or_array_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "0.h5")
    with Shard(path, "labels") as shard:
        with refused(path, "labels of image 'zebra'"):
            shard.get("zebra", "labels")
        with refused(path, "cams of image 'a'"):
            shard.get("a", "cams")


def test_several_shards_read_as_one(tmp_path: Path) -> None:
    paths = [write(tmp_path / "0.h5", ids=("a",)), write(tmp_path / "1.h5", ids=("b",))]
    shards = ShardSet(paths, "labels")
    for image_id in ("a", "b"):
        np.testing.assert_array_equal(shards.get(image_id, "labels"), MASK)
    with pytest.raises(TagsegError, match=re.escape(f"image 'c' is in none of {paths[0]}, {paths[1]}")):
        shards.get("c", "labels")


# bundles


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Linear(3, 2)


def save(path: Path, kind: str = "segmentation", **facts: object) -> Path:
    save_bundle(path, kind, network(), **{"classes": ["background", "cat"], "stride": 8, **facts})
    return path


def test_a_bundle_gives_back_weights_and_facts(tmp_path: Path) -> None:
    content = load_bundle(save(tmp_path / "model.pt"), "segmentation")
    assert content["classes"] == ["background", "cat"] and content["stride"] == 8
    assert content["versions"] == {"tagseg": __version__, "torch": torch.__version__.split("+")[0]}
    for name, value in network().state_dict().items():
        torch.testing.assert_close(content["state_dict"][name], value, rtol=0, atol=0)


def test_equal_bundles_have_equal_bytes_under_any_name(tmp_path: Path) -> None:
    first = save(tmp_path / "first.pt").read_bytes()
    time.sleep(1.1)
    assert save(tmp_path / "folder" / "second.pt").read_bytes() == first
    assert save(tmp_path / "third.pt", stride=16).read_bytes() != first
    assert names_in(tmp_path) == ["first.pt", "folder", "third.pt"]


def test_a_bundle_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "model.pt", "localization")
    with refused(path, "holds localization", "a segmentation model is needed"):
        load_bundle(path, "segmentation")


def test_a_missing_bundle_says_how_to_make_it(tmp_path: Path) -> None:
    with refused(tmp_path / "model.pt", "no such model", "train it first"):
        load_bundle(tmp_path / "model.pt", "segmentation")


@pytest.mark.parametrize("content", [b"", b"\x80\x02foreign", b"PK\x03\x04 a zip that is none"])
def test_a_foreign_file_is_no_bundle(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with refused(path, "not a tagseg model", "train it again"):
        load_bundle(path, "segmentation")


def test_a_bundle_cut_short_is_no_bundle(tmp_path: Path) -> None:
    path = save(tmp_path / "model.pt")
    path.write_bytes(path.read_bytes()[:-200])
    with refused(path, "not a tagseg model"):
        load_bundle(path, "segmentation")


@pytest.mark.parametrize(("content", "found"), [([1, 2], "holds list"), ({"weight": 1}, "holds None")])
def test_other_torch_files_are_no_bundles(tmp_path: Path, content: object, found: str) -> None:
    path = tmp_path / "model.pt"
    torch.save(content, path)
    with refused(path, found):
        load_bundle(path, "segmentation")


def test_a_bundle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"kind": "segmentation", "network": network()}, path)
    with refused(path, "not a tagseg model"):
        load_bundle(path, "segmentation")


def test_what_a_killed_writer_left_goes_with_the_next(tmp_path: Path) -> None:
    target = tmp_path / "a[1].txt"
    with atomic(target) as own:
        own.write_text("old", encoding="utf-8")
        host = own.name.split(".")[-3]
    ended = subprocess.Popen(["true"])
    ended.wait()
    hour_ago = time.time() - 4000
    stays = [f".a1.txt.{host}.{ended.pid}.part", f".b.txt.{host}.{ended.pid}.part"]  # of other files
    stays += [f".a[1].txt.{host}.{os.getppid()}.part", ".a[1].txt.elsewhere.1.part"]  # of processes that may live
    stays += [".a[1].txt.backup.part", ".a[1].txt.my.old.part", ".a[1].txt.part"]  # somebody's
    goes = [f".a[1].txt.{host}.{ended.pid}.part", ".a[1].txt.elsewhere.2.part"]
    for name in stays + goes:
        (tmp_path / name).write_text("half", encoding="utf-8")
    for name in (goes[1], *stays[-3:]):
        os.utime(tmp_path / name, (hour_ago, hour_ago))
    write_text(target, "old\nand new\n")
    assert {path.name for path in tmp_path.iterdir()} == {"a[1].txt", *stays}


@pytest.mark.parametrize("fails", [False, True])
def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path, fails: bool) -> None:
    path = tmp_path / "new" / "folder"
    with atomic_folder(path) as folder:
        write_labels(folder / "a", np.zeros((4, 4), np.uint8))
    (path.parent / folder.name.replace(str(os.getpid()), "99999999")).mkdir()  # a killed process's
    try:
        with atomic_folder(path) as folder:
            write_labels(folder / "b", np.zeros((4, 4), np.uint8))
            assert names_in(path) == ["a"]
            if fails:
                raise RuntimeError
    except RuntimeError:
        assert names_in(path) == ["a"] and len(names_in(path.parent)) == 2
    else:
        assert names_in(path) == ["b"] and names_in(path.parent) == ["folder"]


def test_reading_image_after_image_keeps_little_in_memory(tmp_path: Path) -> None:
    """HDF5 by itself remembers 35 KB of each: 70 MB here."""
    paths = [tmp_path / f"{shard}.h5" for shard in range(4)]
    for path in paths:
        with write_shard(path, "labels", {}) as writer:
            for i in range(500):
                writer.put(f"{path.stem}-{i}", {"labels": np.zeros((4, 4), dtype=np.uint8)})
    code = (
        "import sys\nfrom pathlib import Path\nfrom tagseg.artifacts.shard_sets import ShardSet\n"
        "shards = ShardSet([Path(name) for name in sys.argv[1:]], 'labels')\n"
        "def held():\n    return int(Path('/proc/self/statm').read_text().split()[1]) * 4096\n"
        "for i in range(500):\n"
        "    for k in range(4):\n        shards.get(f'{k}-{i}', 'labels')\n"
        "    if i == 50:\n        start = held()\n"
        "print(held() - start)\n"
    )
    command = [sys.executable, "-c", code, *map(str, paths)]
    grown = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert grown < 10 * 2**20
