"""Masks that cannot be compared are named when they are first seen, not after hours of training."""

import csv
import logging
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from snakemake_runs import plan, prepare, succeed
from trees import put_image, put_text, refused
from typer.testing import CliRunner

from tagseg.artifacts.shards import write_shard
from tagseg.cli.app import app
from tagseg.commands import sheet
from tagseg.config.data import FolderData, VocData, YoutubeObjectsData
from tagseg.datasets import voc, youtube_objects
from tagseg.datasets.index import read_index
from tagseg.datasets.truths import TruthMasks, Truths
from tagseg.errors import TagsegError
from tagseg.images.files import read_labels, write_labels
from tagseg.images.mask_values import Foreground
from tagseg.images.palette import voc_palette
from tagseg.stages import evaluate, ground_truth, index

SIZE = (48, 36)  # width, height
CLASSES = ["disc", "ring", "star"]
TAGS = {"a": "disc", "b": "ring", "c": "star", "d": "disc;ring", "e": ""}


def own(root: Path, *, val: str = "abc", **masks: np.ndarray) -> FolderData:
    """Five photographs in a folder of their own, those of `val` to evaluate on, and masks `NAME.png` of some."""
    for name in TAGS:
        put_image(root / "images" / "old" / f"{name}.jpg", *SIZE)
    rows = [f"{name}.jpg,{tags},{'val' if name in val else 'train'}" for name, tags in TAGS.items()]
    put_text(root / "tags.csv", "\n".join(["image,tags,split", *rows]) + "\n")
    for name, values in masks.items():
        save(root / "masks" / "old" / f"{name}.png", values)
    return FolderData(root=root, classes=CLASSES)


def shape(value: int, size: tuple[int, int] = SIZE, rest: int = 0) -> np.ndarray:
    """A square of `value` on `rest`."""
    values = np.full((size[1], size[0]), rest, np.uint8)
    values[4:20, 6:22] = value
    return values


def save(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, format="PNG")
    return path


def png(path: Path, depth: int, colour: int, row: bytes, width: int) -> Path:
    """A PNG of two equal rows, in a form that Pillow does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, 2, depth, colour, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress((b"\0" + row) * 2)) + chunk(b"IEND", b"")
    return put_text(path, b"\x89PNG\r\n\x1a\n" + content)


def indexed(data: FolderData | VocData | YoutubeObjectsData, root: Path) -> list[dict[str, str]]:
    """The rows of the index's report."""
    index.run(data, root / "out" / "tags.csv", root / "out" / "classes.txt", threads=2)
    return report(root)


def report(root: Path) -> list[dict[str, str]]:
    with (root / "out" / "index_report.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


# what a mask's pixels say


@pytest.mark.parametrize(
    ("depth", "colour", "row", "labels"),
    [
        (1, 0, bytes([0b01100000]), [0, 1, 1, 0]),
        (2, 0, bytes([0b00011011]), [0, 1, 2, 3]),
        (4, 0, bytes([0x01, 0x2F]), [0, 1, 2, 15]),
        (8, 0, bytes([0, 1, 2, 255]), [0, 1, 2, 255]),
        (16, 0, bytes([0, 0, 0, 1, 0, 2, 0, 255]), [0, 1, 2, 255]),
        (8, 2, bytes([0, 0, 0, 1, 1, 1, 2, 2, 2, 255, 255, 255]), [0, 1, 2, 255]),
        (8, 4, bytes([0, 255, 1, 255, 2, 255, 255, 255]), [0, 1, 2, 255]),
    ],
)
def test_labels_are_the_samples_of_the_file(
    tmp_path: Path, depth: int, colour: int, row: bytes, labels: list[int]
) -> None:
    """Pillow spreads grey of 2 and 4 bits over 0..255; label 1 would be 85 or 17."""
    path = png(tmp_path / "a.png", depth, colour, row, 4)
    assert read_labels(path).tolist() == [labels, labels]


def test_of_an_indexed_mask_the_indices_count_whatever_the_palette(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1, 2, 3]], np.uint8))
    image.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0, 0, 0, 200])
    for options in ({}, {"bits": 2}, {"transparency": 0}):
        image.save(tmp_path / "a.png", **options)
        assert read_labels(tmp_path / "a.png").tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("depth", "colour", "row", "what"),
    [
        (8, 2, bytes([0, 0, 0, 128, 0, 0, 0, 128, 0, 0, 0, 0]), "colours (0, 0, 0), (0, 128, 0), (128, 0, 0)"),
        (8, 6, bytes([1, 1, 1, 0] * 4), "transparent in part"),
        (8, 4, bytes([1, 0] * 4), "transparent in part"),
        (16, 2, bytes([0, 1] * 12), "of 16 bits a channel"),
        (16, 4, bytes([0, 1, 255, 255] * 4), "of 16 bits a channel"),
        (16, 0, bytes([1, 44] * 4), "values 300 of 16 bits"),
    ],
)
def test_what_is_no_label_is_named(tmp_path: Path, depth: int, colour: int, row: bytes, what: str) -> None:
    path = png(tmp_path / "a.png", depth, colour, row, 4)
    with refused(path, what):
        read_labels(path)


def test_a_jpeg_that_is_called_png_is_refused(tmp_path: Path) -> None:
    Image.fromarray(shape(1)).save(tmp_path / "a.png", format="JPEG")
    with refused(tmp_path / "a.png", "a JPEG file", "keeps every label"):
        read_labels(tmp_path / "a.png")


def test_a_mask_in_two_values(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", shape(255))
    assert np.array_equal(read_labels(path, Foreground(255, 2)), shape(2))
    with refused(path, "pixels of 255", "exactly one tag"):
        read_labels(path, Foreground(255, 0))
    assert np.array_equal(read_labels(save(path, shape(1, rest=255)), Foreground(1, 3)), shape(3, rest=255))
    with refused(save(path, shape(254)), "values 254", "0 and 255 alone"):
        read_labels(path, Foreground(255, 2))


# the index


def test_masks_of_0_and_255_alone_are_refused_with_the_key_that_reads_them(tmp_path: Path) -> None:
    data = own(tmp_path, a=shape(255), b=shape(255), c=shape(0))
    with refused(tmp_path / "masks" / "old", "all its 3 masks hold 255 and 0 alone", "set data.foreground to 255"):
        indexed(data, tmp_path)
    assert not (tmp_path / "out" / "tags.csv").exists()
    assert indexed(data.model_copy(update={"foreground": 255}), tmp_path) == []


def test_every_reader_of_truth_sees_the_class_that_white_stands_for(tmp_path: Path) -> None:
    data = own(tmp_path, a=shape(255), b=shape(255), c=shape(255)).model_copy(update={"foreground": 255})
    indexed(data, tmp_path)
    tags, truth, classes = (tmp_path / "out" / name for name in ("tags.csv", "ground_truth.csv", "classes.txt"))
    ground_truth.run(data, tags, truth)
    truths = Truths(tags, truth, "val")
    for label, record in enumerate(truths.records, start=1):
        assert np.array_equal(truths.labels(record), shape(label))
        assert np.array_equal(TruthMasks(truth).labels(record), shape(label))
    with write_shard(tmp_path / "labels.h5", "labels", {}) as writer:
        for label, record in enumerate(truths.records, start=1):
            writer.put(record.id, {"labels": shape(label)})
    evaluate.run(
        [tmp_path / "labels.h5"], tags, truth, classes, tmp_path / "all.json", split="val", protocol="classes",
        facts={}, per_image=tmp_path / "images.csv",
    )  # fmt: skip
    with (tmp_path / "images.csv").open(encoding="utf-8") as file:
        assert [float(row["miou"]) for row in csv.DictReader(file)] == [100.0] * 3
    drawn = next(draw for step, draw in sheet._sources(tmp_path, TruthMasks(truth)) if step == "ground_truth.csv")
    assert drawn and np.array_equal(drawn(truths.records[1])[0][1].pixels, voc_palette()[shape(2)])


def test_white_of_a_photograph_with_two_tags_is_no_class(tmp_path: Path) -> None:
    data = own(tmp_path, val="ad", a=shape(255), d=shape(255)).model_copy(update={"foreground": 255})
    with refused(tmp_path / "masks" / "old" / "d.png", "pixels of 255", "exactly one tag"):
        indexed(data, tmp_path)
    one = data.model_copy(update={"classes": ["disc"]})
    rows = ["a,disc,val", "b,disc,train", "c,,train", "d,,val", "e,,train"]
    put_text(tmp_path / "tags.csv", "\n".join(["image,tags,split", *rows]) + "\n")
    assert indexed(one, tmp_path) == []


@pytest.mark.parametrize(
    ("mask", "parts"),
    [
        (shape(7), ["label 7, but there are 3 classes", "1 disc, 2 ring, 3 star, and 255"]),
        (shape(1, (36, 48)), ["36 x 48 pixels, but its photograph", "48 x 36", "turned by 90 degrees"]),
        (shape(1, (24, 24)), ["24 x 24 pixels, but its photograph", "48 x 36", "at its size"]),
        (np.dstack([shape(128), shape(0), shape(0)]), ["mode RGB, with colours (0, 0, 0), (128, 0, 0)"]),
    ],
)
def test_a_mask_that_cannot_be_compared_is_a_fault(tmp_path: Path, mask: np.ndarray, parts: list[str]) -> None:
    data = own(tmp_path, a=shape(1), b=mask)
    with refused(tmp_path / "masks" / "old" / "b.png", *parts):
        indexed(data, tmp_path)
    assert [(row["status"], row["image"]) for row in report(tmp_path)] == [("fault", "old__b")]
    assert indexed(data.model_copy(update={"leave_out": ["old__b"]}), tmp_path)[0]["status"] == "left out"


def test_all_faulty_masks_are_told_at_once(tmp_path: Path) -> None:
    data = own(tmp_path, a=shape(9), b=shape(1, (20, 20)), c=shape(3))
    with refused(tmp_path / "out" / "index_report.csv", "2 faults", "data.leave_out: [old__a, old__b]"):
        indexed(data, tmp_path)


def test_a_mask_of_the_photograph_as_it_is_stored_says_so(tmp_path: Path) -> None:
    data = own(tmp_path, val="ab", a=shape(1))
    exif = Image.Exif()
    exif[0x0112] = 6
    put_image(tmp_path / "images" / "old" / "b.jpg", *SIZE, exif=exif)
    save(tmp_path / "masks" / "old" / "b.png", shape(2))
    with refused(tmp_path / "masks" / "old" / "b.png", "48 x 36", "is stored", "36 x 48 upright", "turn the mask"):
        indexed(data, tmp_path)
    save(tmp_path / "masks" / "old" / "b.png", shape(2, (36, 48)))
    assert indexed(data, tmp_path) == []


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a_mask.png", ["none of its 1 files", "old/a_mask.png is nearly the mask of a.jpg", "old/a.png", "rename it"]),
        ("a.jpg.png", ["old/a.jpg.png is nearly the mask of a.jpg", "rename it"]),
        ("a.tif", ["old/a.tif is nearly the mask of a.jpg", "save it as this PNG file"]),
        ("0815.png", ["there is old/0815.png, and old/a.png would be that of a.jpg"]),
    ],
)
def test_a_folder_whose_masks_are_nobody_s_is_an_error(tmp_path: Path, name: str, parts: list[str]) -> None:
    data = own(tmp_path)
    save(tmp_path / "masks" / "old" / name, shape(1))
    with refused(tmp_path / "masks", *parts):
        indexed(data, tmp_path)


def test_masks_of_photographs_that_no_row_names_are_told_as_such(tmp_path: Path) -> None:
    data = own(tmp_path, z=shape(1))
    put_image(tmp_path / "images" / "old" / "z.jpg", *SIZE)
    with refused(tmp_path / "masks", "old/z.png is of old/z.jpg, which no row names"):
        indexed(data, tmp_path)


def test_masks_of_training_photographs_alone_evaluate_nothing(tmp_path: Path) -> None:
    with refused(tmp_path / "masks" / "old", "masks of 1 images, none of which is of split val"):
        indexed(own(tmp_path, d=shape(1)), tmp_path)
    assert indexed(own(tmp_path, d=shape(1)).model_copy(update={"masks": ""}), tmp_path) == []


def test_a_folder_that_was_named_must_be_there(tmp_path: Path) -> None:
    data = own(tmp_path)
    assert indexed(data, tmp_path) == []
    (tmp_path / "masks").mkdir()
    assert indexed(data, tmp_path) == []
    with refused(tmp_path / "msaks", "no such folder", "data.masks"):
        indexed(data.model_copy(update={"masks": "msaks"}), tmp_path)


def test_some_masks_of_no_photograph_are_counted_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    data = own(tmp_path, a=shape(1), d=shape(2), a_mask=shape(1))
    rows = indexed(data, tmp_path)
    assert [(row["status"], Path(row["file"]).name) for row in rows] == [("not used", "a_mask.png")]
    assert "a mask of no photograph" in rows[0]["what"]
    assert "masks: 2 of 5 images have one (val 1, train 1)" in caplog.text
    assert "1 masks are of no photograph and are not used" in caplog.text and "a_mask.png" in caplog.text


def test_a_suffix_in_capitals_and_an_id_are_read_two_of_one_photograph_are_not(tmp_path: Path) -> None:
    data = own(tmp_path)
    save(tmp_path / "masks" / "old" / "a.PNG", shape(1))
    save(tmp_path / "masks" / "old__b.png", shape(2))
    assert indexed(data, tmp_path) == []
    ground_truth.run(data, tmp_path / "out" / "tags.csv", tmp_path / "out" / "g.csv")
    assert [
        record.id for record in Truths(tmp_path / "out" / "tags.csv", tmp_path / "out" / "g.csv", "val").records
    ] == [
        "old__a",
        "old__b",
    ]
    save(tmp_path / "masks" / "old__a.png", shape(1))
    with refused(tmp_path / "masks" / "old" / "a.PNG", "a mask of the same photograph", "keep one"):
        indexed(data, tmp_path)


def test_masks_that_tell_little_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    masks = {"a": shape(0), "b": shape(255, rest=255), "c": shape(255), "d": shape(3), "e": shape(0)}
    assert indexed(own(tmp_path, val="abcde", **masks), tmp_path) == []
    assert "1 mask shows (a.png) no class, background alone" in caplog.text
    assert "1 mask shows (b.png) nothing but 255" in caplog.text
    assert "1 mask shows (c.png) 0 and 255 alone" in caplog.text
    assert "1 mask shows (d.png) no class that the photograph is tagged with" in caplog.text


def test_the_index_is_the_same_whatever_the_masks_say(tmp_path: Path) -> None:
    found = []
    for masks in ({}, {"a": shape(1)}, {"a": shape(2), "b": shape(3)}):
        indexed(own(tmp_path, **masks), tmp_path)
        found.append([(tmp_path / "out" / name).read_bytes() for name in ("tags.csv", "classes.txt")])
    assert found[0] == found[1] == found[2]


def test_a_mask_that_was_spoilt_since_is_named_before_anything_is_evaluated(tmp_path: Path) -> None:
    data = own(tmp_path, a=shape(1), b=shape(2))
    indexed(data, tmp_path)
    tags, truth = tmp_path / "out" / "tags.csv", tmp_path / "out" / "ground_truth.csv"
    ground_truth.run(data, tags, truth)
    path = save(tmp_path / "masks" / "old" / "b.png", shape(2, (20, 20)))
    with refused(path, "20 x 20 pixels"):
        Truths(tags, truth, "val")
    with refused(path, "20 x 20 pixels"):
        ground_truth.run(data, tags, truth)
    save(path, shape(9))
    with refused(path, "label 9"):
        ground_truth.run(data, tags, truth)


# other layouts


def devkit(root: Path, **masks: np.ndarray) -> VocData:
    for i, tag in enumerate(("cat", "dog", "cat")):
        put_image(root / "JPEGImages" / f"{i}.jpg", *SIZE)
        put_text(root / "Annotations" / f"{i}.xml", f"<annotation><object><name>{tag}</name></object></annotation>")
    put_text(root / "ImageSets" / "Segmentation" / "train.txt", "0\n")
    put_text(root / "ImageSets" / "Segmentation" / "val.txt", "1\n2\n")
    for name, values in masks.items():
        save(root / "SegmentationClass" / f"{name[1:]}.png", values)
    return VocData(root=root, train="train", masks="SegmentationClass", tags="annotations")


def test_masks_of_a_devkit_are_checked(tmp_path: Path) -> None:
    folder = tmp_path / "SegmentationClass"
    with refused(folder, "no mask of the 2 images of val", "data.masks"):
        indexed(devkit(tmp_path), tmp_path)
    with refused(folder / "2.png", "no such mask", "take the image out of the list val"):
        indexed(devkit(tmp_path, _1=shape(12)), tmp_path)
    with refused(folder / "2.png", "20 x 20 pixels"):
        indexed(devkit(tmp_path, _2=shape(8, (20, 20))), tmp_path)
    with refused(folder / "2.png", "label 77, but there are 20 classes"):
        indexed(devkit(tmp_path, _2=shape(77)), tmp_path)
    with refused(folder, "all its 2 masks hold 255 and 0 alone", "number the classes"):
        indexed(devkit(tmp_path, _1=shape(255), _2=shape(255)), tmp_path)
    data = devkit(tmp_path, _1=shape(12), _2=shape(8))
    assert indexed(data, tmp_path) == []
    ground_truth.run(data, tmp_path / "out" / "tags.csv", tmp_path / "out" / "g.csv")
    assert [record.id for record in read_index(tmp_path / "out" / "tags.csv")] == ["0", "1", "2"]
    assert [r.id for r in Truths(tmp_path / "out" / "tags.csv", tmp_path / "out" / "g.csv", None).records] == ["1", "2"]
    assert not voc.train_truth(data) and voc.has_truth(data)
    without = data.model_copy(update={"masks": ""})
    assert indexed(without, tmp_path) == [] and not voc.has_truth(without)
    assert voc.train_truth(devkit(tmp_path, _0=shape(8)))


def test_masks_of_youtube_objects_are_checked(tmp_path: Path) -> None:
    for name in youtube_objects.CLASSES:
        for shot in ("001", "002"):
            put_image(tmp_path / "v1" / name / "0001" / shot / "00001.jpg", *SIZE)
        save(tmp_path / "masks" / name / "0001" / "002" / "00001.png", shape(255))
    data = YoutubeObjectsData(root=tmp_path / "v1", masks=str(tmp_path / "masks"), per_class=1)
    assert indexed(data, tmp_path) == []
    path = save(tmp_path / "masks" / "cat" / "0001" / "002" / "00001.png", shape(255, (20, 40)))
    with refused(path, "20 x 40 pixels, the photograph 48 x 36"):
        indexed(data, tmp_path)


# a project


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    own(tmp_path)
    put_text(tmp_path / "tags.csv", "image,tags\n" + "".join(f"{name}.jpg,{tags}\n" for name, tags in TAGS.items()))
    return tmp_path


def init(line: str) -> str:
    """What the command prints; an error of the user is raised as it is."""
    done = CliRunner().invoke(app, line.split(), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


INIT = "init project --images images --tags tags.csv --masks masks --classes disc,ring,star --backbone shapes"


def test_a_project_of_black_and_white_masks_in_one_step(folder: Path, fails: Callable[[str], str]) -> None:
    for name in "ab":
        save(folder / "masks" / "old" / f"{name}.png", shape(255))
    assert "set data.foreground to 255 (tagseg init: --foreground 255)" in fails(INIT)
    said = init(f"{INIT} --foreground 255")
    assert "2 of 5 photographs have a mask" in said and "3 to train on, 2 kept apart" in said
    data = yaml.safe_load(Path("project/config.yaml").read_text(encoding="utf-8"))["datasets"]["photos"]["data"]
    assert data["foreground"] == 255 and data["masks"] == "../masks"
    assert "foreground" in fails("init other --images images --tags tags.csv --foreground 255")


def test_working_copies_of_masks_hold_labels(folder: Path) -> None:
    put_image(folder / "images" / "old" / "b.jpg", 96, 72)
    save(folder / "masks" / "old" / "b.png", shape(255, (96, 72)))
    init(f"{INIT} --foreground 255 --longest-side 48")
    assert set(np.unique(read_labels(Path("project/working_copies/masks/old__b.png"))).tolist()) == {0, 2}
    data = yaml.safe_load(Path("project/config.yaml").read_text(encoding="utf-8"))["datasets"]["photos"]["data"]
    assert "foreground" not in data and data["masks"] == "working_copies/masks"


def test_a_project_never_resizes_a_mask_of_another_shape(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    put_image(folder / "images" / "old" / "b.jpg", 96, 72, exif=exif)
    save(folder / "masks" / "old" / "b.png", shape(2, (96, 72)))
    with pytest.raises(TagsegError, match=r"masks/old/b.png: 96 x 72 pixels, as images/old/b.jpg is stored"):
        init(f"{INIT} --longest-side 48")
    assert not Path("project/working_copies").exists() and not Path("project/config.yaml").exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [("a_mask.png", "nearly the mask of a.jpg"), ("a.txt", "no mask in it"), (None, "no mask in it")],
)
def test_a_project_without_one_mask_that_fits(
    folder: Path, name: str | None, told: str, fails: Callable[[str], str]
) -> None:
    (folder / "masks").mkdir()
    if name:
        save(folder / "masks" / name, shape(1))
    assert told in fails(INIT)


def test_a_project_counts_masks_and_leaves_faulty_ones_out(folder: Path) -> None:
    for name in ("a", "b", "b_old"):
        save(folder / "masks" / "old" / f"{name}.png", shape(1))
    save(folder / "masks" / "old" / "c.png", shape(9))
    said = init(f"{INIT} --leave-out-faulty")
    assert "note: 1 masks are of no photograph and are not used: b_old.png" in said
    assert "note: 1 mask shows (b.png) no class that the photograph is tagged with" in said
    assert "left out: 1" in said and "4 photographs" in said and "2 kept apart" in said


def test_a_project_whose_val_has_no_mask_does_without(folder: Path) -> None:
    put_text(folder / "tags.csv", "image,tags,split\na,disc,train\nb,ring,val\nc,star,train\n")
    save(folder / "masks" / "old" / "a.png", shape(1))
    assert "note: no photograph of split val has a mask" in init(INIT)
    data = yaml.safe_load(Path("project/config.yaml").read_text(encoding="utf-8"))["datasets"]["photos"]["data"]
    assert data["masks"] == ""


# the workflow


@pytest.mark.slow
def test_a_changed_foreground_redoes_the_truth_alone(tmp_path: Path) -> None:
    own(tmp_path / "run" / "own", a=shape(255), b=shape(255))
    run = prepare(tmp_path / "run")

    def config(**more: object) -> Path:
        data = {"kind": "folder", "root": "own", "classes": CLASSES, **more}
        block = {"data": data, "network": {"backbone": "shapes"}}
        return put_text(tmp_path / "own.yaml", yaml.safe_dump({"default": "own", "datasets": {"own": block}}))

    wanted = [f"results/own/{name}" for name in ("ground_truth.csv", "tags.csv")]
    succeed(run, *wanted, configs=[config(foreground=255)])
    assert plan(run, *wanted, configs=[config(foreground=255)]) == []
    jobs = plan(run, *wanted, configs=[config()])
    assert [job.message for job in jobs] == ["own: list the truth masks, for evaluation only"]
    for path in (run / "own" / "masks" / "old").iterdir():
        write_labels(path, shape(1))
        os.utime(path, (1, 1))
    succeed(run, *wanted, configs=[config()])
