"""The archive for VOC's test server: twenty images pass the check, ten broken ones fail with the right line."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trees import refused
from typer.testing import CliRunner

from tagseg import cli
from tagseg.artifacts.shards import write_shard
from tagseg.datasets.index import ImageRecord, write_classes, write_index
from tagseg.datasets.voc import CLASSES
from tagseg.datasets.voc_submission import FOLDER
from tagseg.images.files import encode_labels
from tagseg.stages import check_submission, submission

IDS = [f"2008_{i:06d}" for i in range(20)]


@pytest.fixture
def predicted(tmp_path: Path) -> Path:
    """Predictions of twenty images of several sizes in two shards; an image of val has none."""
    rng = np.random.default_rng(0)
    records = [ImageRecord(name, "test", Path(f"{name}.jpg"), 40 + i, 50 - i, ()) for i, name in enumerate(IDS)]
    write_index(tmp_path / "tags.csv", [*records, ImageRecord("other", "val", Path("o.jpg"), 9, 9, ("cat",))])
    write_classes(tmp_path / "classes.txt", CLASSES)
    for shard in (0, 1):
        with write_shard(tmp_path / f"{shard}.h5", "labels", {}) as writer:
            for record in records[shard::2]:
                writer.put(record.id, {"labels": rng.integers(0, 21, (record.height, record.width), dtype=np.uint8)})
    return tmp_path


def pack(folder: Path, name: str = "submission.tar.gz", split: str = "test") -> Path:
    output = folder / name
    shards = [folder / "0.h5", folder / "1.h5"]
    submission.run(shards, folder / "tags.csv", folder / "classes.txt", output, split=split)
    return output


def test_twenty_images_pass_the_check(predicted: Path) -> None:
    archive = pack(predicted)
    with tarfile.open(archive) as content:
        assert content.getnames() == [f"results/VOC2012/Segmentation/comp6_test_cls/{name}.png" for name in IDS]
    command = ["check-submission", str(archive), "--tags", str(predicted / "tags.csv"), "--split", "test"]
    outcome = CliRunner().invoke(cli.app, command)
    assert outcome.exit_code == 0
    assert outcome.output.replace("\n", "") == f"{archive}: 20 masks of split test, as the evaluation server takes them"


def test_the_same_predictions_give_the_same_bytes(predicted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pack(predicted).read_bytes()
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert pack(predicted, "again.tar.gz").read_bytes() == first
    with tarfile.open(predicted / "again.tar.gz") as content:
        for member in content.getmembers():
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")


Files = dict[str, bytes]


def members(path: Path) -> Files:
    with tarfile.open(path) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive.getmembers()}  # type: ignore[union-attr]


def tar_of(path: Path, files: Files, folders: tuple[str, ...] = ()) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name in folders:
            folder = tarfile.TarInfo(name)
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


SEVENTH = f"{FOLDER}/{IDS[7]}.png"  # 47 x 43 pixels


def png(mask: np.ndarray, mode: str = "P", palette: list[int] | None = None, **options: object) -> bytes:
    with Image.open(io.BytesIO(encode_labels(mask))) as image:
        image.load()
        if palette is not None:
            image.putpalette(palette)
        content = io.BytesIO()
        image.convert(mode).save(content, **{"format": "PNG", **options})
    return content.getvalue()


def replaced(content: bytes) -> Callable[[Files], Files]:
    return lambda files: {**files, SEVENTH: content}


ZEROS = np.zeros((43, 47), dtype=np.uint8)
GREYS = [i // 3 for i in range(768)]
BROKEN: dict[str, tuple[Callable[[Files], Files], list[str]]] = {
    "missing": (lambda f: {k: v for k, v in f.items() if k != SEVENTH}, [SEVENTH, "is missing (1 of 20 are)", "add"]),
    "extra": (
        lambda f: {**f, f"{FOLDER}/other.png": png(ZEROS)},
        ["other.png is of no image of the split (21 for 20)"],
    ),
    "renamed": (lambda f: {k.replace("2008_000007", "2008_7"): v for k, v in f.items()}, [SEVENTH, "is missing"]),
    "size": (replaced(png(ZEROS.T)), [SEVENTH, "43 x 47 pixels, the image 47 x 43", "bring it"]),
    "RGB": (replaced(png(ZEROS, "RGB")), [SEVENTH, "PNG of mode RGB", "indexed PNG"]),
    "grey": (replaced(png(ZEROS, "L")), [SEVENTH, "PNG of mode L", "indexed PNG"]),
    "GIF": (replaced(png(ZEROS, format="GIF")), [SEVENTH, "GIF of mode P", "indexed PNG"]),
    "palette": (replaced(png(ZEROS, palette=GREYS)), [SEVENTH, "palette is not VOC's", "devkit's colours"]),
    "value 21": (replaced(png(ZEROS + 21)), [SEVENTH, "label 21 in it", "0..20"]),
    "value 255": (replaced(png(ZEROS + 255)), [SEVENTH, "255 (ignore) in it", "0..20"]),
    "folder": (
        lambda f: {k.replace("comp6_test", "comp5_test"): v for k, v in f.items()},
        [f"comp5_test_cls/{IDS[0]}.png is not in {FOLDER}"],
    ),
    "no folder": (lambda f: {Path(k).name: v for k, v in f.items()}, [f"{IDS[0]}.png is not in {FOLDER}"]),
    "another file": (lambda f: {**f, "results/notes.txt": b""}, ["results/notes.txt is not in", "nothing else"]),
    "corrupt": (replaced(png(ZEROS)[:60]), [SEVENTH, "not a readable PNG", "make it again"]),
    "no PNG": (replaced(b"text"), [SEVENTH, "not a readable PNG"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_archive_fails_with_its_line(predicted: Path, name: str) -> None:
    change, parts = BROKEN[name]
    files = change(members(pack(predicted)))
    path = tar_of(predicted / "broken.tar.gz", files)
    with refused(path, *parts):
        check_submission.run(path, predicted / "tags.csv", split="test")


def test_what_is_no_whole_archive_is_named(predicted: Path) -> None:
    good = pack(predicted)
    path = predicted / "broken.tar.gz"
    for content in (b"no archive", good.read_bytes()[:9000], b""):
        path.write_bytes(content)
        with refused(path, "not a whole tar archive", "make it again"):
            check_submission.run(path, predicted / "tags.csv", split="test")
    path.unlink()
    with refused(path, "no such file", "submission.tar.gz"):
        check_submission.run(path, predicted / "tags.csv", split="test")


def test_an_archive_made_by_hand_may_list_its_folders(predicted: Path) -> None:
    files = {f"./{name}": content for name, content in members(pack(predicted)).items()}
    path = tar_of(predicted / "hand.tar.gz", files, (".", "./results", f"./{FOLDER}"))
    check_submission.run(path, predicted / "tags.csv", split="test")
    tar_of(path, files, ("other",))
    with refused(path, "other is not in"):
        check_submission.run(path, predicted / "tags.csv", split="test")


def test_a_mask_that_is_there_twice_is_refused(predicted: Path) -> None:
    files = members(pack(predicted))
    path = tar_of(predicted / "twice.tar.gz", {**files, f"./{SEVENTH}": files[SEVENTH]})
    with refused(path, f"{SEVENTH} is there twice", "keep one"):
        check_submission.run(path, predicted / "tags.csv", split="test")


def test_only_vocs_classes_and_labels_are_packed(predicted: Path) -> None:
    (predicted / "classes.txt").unlink()
    write_classes(predicted / "classes.txt", ["cat", "dog"])
    with refused(predicted / "classes.txt", "not VOC's classes"):
        pack(predicted)
    (predicted / "classes.txt").unlink()
    write_classes(predicted / "classes.txt", CLASSES)
    with refused(predicted / "tags.csv", "no image of split train"):
        pack(predicted, split="train")
    with write_shard(predicted / "0.h5", "labels", {}) as writer:
        writer.put(IDS[0], {"labels": np.full((50, 40), 255, dtype=np.uint8)})
    with refused(predicted / "submission.tar.gz", IDS[0], "255 (ignore)"):
        pack(predicted)
    with write_shard(predicted / "0.h5", "labels", {}) as writer:
        for name in IDS[::2]:
            writer.put(name, {"labels": np.zeros((9, 9), dtype=np.uint8)})
    with refused(predicted / "submission.tar.gz", IDS[0], "9 x 9 pixels, the image 40 x 50"):
        pack(predicted)
    assert not (predicted / "submission.tar.gz").exists()
