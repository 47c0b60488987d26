"""Own data in VOC's form, as CVAT, labelme and others write it: its classes are its own, everywhere."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from snakemake_runs import REPOSITORY, overlay, prepare, snakemake
from trees import put_image, put_text, refused
from typer.testing import CliRunner

from tagseg import cli
from tagseg.config.data import VocData
from tagseg.config.parsing import parse_config
from tagseg.datasets import voc
from tagseg.datasets.index import read_classes, read_ground_truth, read_index
from tagseg.datasets.layouts import LAYOUTS
from tagseg.datasets.voc_classes import own_classes
from tagseg.datasets.voc_masks import labels_by_colour
from tagseg.errors import TagsegError
from tagseg.images.files import read_labels, write_labels
from tagseg.stages import ground_truth, index, render_truth, submission

SIZE = (36, 44)  # height, width
CVAT = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncrack:250,50,83::\nspall:51,221,255::\n"


def annotation(*names: str, root: str = "annotation", before: str = "") -> str:
    objects = "".join(f"<object><name>{name}</name></object>" for name in names)
    return f"{before}<{root}><filename>IMG_1.jpg</filename>{objects}</{root}>"


def mask(*labels: int) -> np.ndarray:
    """The first rows are background, then two rows for each label."""
    pixels = np.zeros(SIZE, dtype=np.uint8)
    for place, label in enumerate(labels, start=2):
        pixels[2 * place : 2 * place + 2] = label
    return pixels


@pytest.fixture
def own(tmp_path: Path) -> VocData:
    """Photographs a and b to train on, c to evaluate on; a shows a crack, b a crack and a spall, c a spall."""
    root = tmp_path / "own"
    seen = {"a": ("crack",), "b": ("crack", "spall"), "c": ("spall",)}
    put_text(root / "ImageSets/Segmentation/train.txt", "a\nb\n")
    put_text(root / "ImageSets/Segmentation/val.txt", "c\n")
    for name, objects in seen.items():
        put_image(root / "JPEGImages" / f"{name}.jpg", SIZE[1], SIZE[0])
        put_text(root / "Annotations" / f"{name}.xml", annotation(*objects))
        write_labels(root / "SegmentationClass" / f"{name}.png", mask(*({"crack": 1, "spall": 2}[o] for o in objects)))
    return VocData(root=root, train="train", masks="SegmentationClass")


def told(data: VocData) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    classes, records = voc.index(data)
    return classes, {record.id: record.tags for record in records}


TAGS = {"a": ("crack",), "b": ("crack", "spall"), "c": ("spall",)}


@pytest.mark.parametrize("tags", ["masks", "annotations"])
def test_names_that_are_not_voc_s_are_told_at_once(own: VocData, tags: str) -> None:
    with refused(
        own.root / "Annotations/a.xml", "object 'crack' is none of VOC's classes", "set data.classes", "crack, spall"
    ):
        voc.index(own.model_copy(update={"tags": tags}))


def test_a_misspelt_name_of_voc_s_is_shown(own: VocData) -> None:
    put_text(own.root / "Annotations/a.xml", annotation("Persn"))
    for name in "bc":
        put_text(own.root / "Annotations" / f"{name}.xml", annotation("person"))
    with refused(own.root / "Annotations/a.xml", "object 'Persn' is none of VOC's classes", "where 'person' is meant"):
        voc.index(own)


@pytest.mark.parametrize("tags", ["masks", "annotations"])
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("", ""),
        ("labelmap.txt", CVAT),
        ("labelmap.txt", "\ufeffbackground:::\r\ncrack:::\r\n\r\nspall:::\r\n"),
        ("class_names.txt", "_background_\ncrack\nspall\n"),
        ("labels.txt", "__ignore__\n_background_\ncrack\nspall"),
        ("labels.txt", "crack\nspall\n"),
    ],
)
def test_classes_of_a_key_or_a_file(own: VocData, tags: str, file: str, text: str) -> None:
    if file:
        listed = put_text(own.root / file, text)
        assert listed in voc.sources(own)
    data = own.model_copy(update={"tags": tags} | ({} if file else {"classes": ["crack", "spall"]}))
    assert told(data) == (["crack", "spall"], TAGS)


def test_the_key_s_order_counts_before_the_file_s(own: VocData) -> None:
    put_text(own.root / "class_names.txt", "_background_\ncrack\nspall\n")
    classes, tags = told(own.model_copy(update={"classes": ["spall", "crack"]}))
    assert classes == ["spall", "crack"] and tags["a"] == ("spall",)


@pytest.mark.parametrize(
    ("file", "text", "parts"),
    [
        ("labelmap.txt", "crack:1,2,300::", [":1", "colour 1,2,300", "0 to 255"]),
        ("labelmap.txt", "a:1,2,3::\nb:1,2,3::", [":2", "'b' has the colour of 'a'"]),
        ("labelmap.txt", "a:red::", [":1", "'red' is not a colour", "NAME:R,G,B"]),
        ("labelmap.txt", "# nothing\nbackground:0,0,0::", ["no class in it"]),
        ("class_names.txt", "crack\ncrack", ["'crack' is listed twice"]),
        ("class_names.txt", "crack\n_background_", [":2", "the background is label 0", "put it first"]),
        ("labels.txt", b"crack\ncaf\xe9", [":2", "not UTF-8"]),
        ("labels.txt", "a;b", ["class 'a;b'", "no ';'"]),
    ],
)
def test_faults_of_a_class_file(own: VocData, file: str, text: str | bytes, parts: list[str]) -> None:
    path = put_text(own.root / file, text)
    where, parts = (f"{path}{parts[0]}", parts[1:]) if parts[0].startswith(":") else (str(path), parts)
    with refused(where, *parts):
        voc.index(own)
    assert voc.other_classes(own) == ""  # the plan of a run is drawn; the index complains


@pytest.mark.parametrize(("classes", "what"), [(["a", "a"], "listed twice"), (["background"], "take it out")])
def test_classes_that_cannot_be_are_refused(classes: list[str], what: str) -> None:
    data = {"kind": "voc", "root": "r", "classes": classes}
    with refused("config: datasets.mine.data: ", what):
        parse_config({"default": "mine", "datasets": {"mine": {"data": data}}})


def test_an_object_that_is_no_class_is_named_with_the_nearest(own: VocData) -> None:
    data = own.model_copy(update={"tags": "annotations", "classes": ["crack", "rust"]})
    with refused(own.root / "Annotations/b.xml", "object 'spall' is not among the classes: crack, rust", "add it to"):
        voc.index(data)
    put_text(own.root / "Annotations/b.xml", annotation("Crak"))
    with refused(own.root / "Annotations/b.xml", "object 'Crak'", "did you mean 'crack'?"):
        voc.index(data)


def test_a_label_beyond_the_classes_says_where_they_stand(own: VocData) -> None:
    put_text(own.root / "labels.txt", "crack")
    path = own.root / "SegmentationClass/b.png"
    with refused(path, "label 2, but there is 1 class", f"add the class to {own.root / 'labels.txt'}"):
        voc.index(own)


def test_without_annotations_it_is_said_that_voc_s_classes_are_taken(
    own: VocData, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(own.root / "Annotations")
    with caplog.at_level(logging.WARNING):
        assert voc.index(own)[0] == list(voc.CLASSES)
    assert "taken as VOC's twenty; if not, set data.classes" in caplog.text


# masks in colours


def paint(path: Path, labels: np.ndarray, colours: dict[int, tuple[int, int, int]], mode: str = "RGB") -> None:
    pixels = np.zeros((*labels.shape, 3), dtype=np.uint8)
    for label, colour in colours.items():
        pixels[labels == label] = colour
    image = Image.fromarray(pixels).convert("RGB" if mode == "P" else mode)
    if mode == "P":  # with indices of no meaning, the last colour first
        order = sorted(colours, reverse=True)
        image = Image.fromarray(np.array([order.index(label) for label in labels.flat], np.uint8).reshape(SIZE))
        image.putpalette([value for label in order for value in colours[label]])
    image.save(path)


COLOURS = {0: (0, 0, 0), 1: (250, 50, 83), 2: (51, 221, 255), 255: (224, 224, 192)}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("background_first", [True, False])
def test_masks_in_a_labelmap_s_colours_become_labels(
    own: VocData, tmp_path: Path, mode: str, background_first: bool
) -> None:
    lines = CVAT.splitlines()[1:]
    put_text(own.root / "labelmap.txt", "\n".join(lines if background_first else [*lines[1:], lines[0]]))
    wanted = {"a": mask(1, 255), "b": mask(2, 1), "c": mask(2)}
    for name, labels in wanted.items():
        paint(own.root / "SegmentationClass" / f"{name}.png", labels, COLOURS, mode)
    tags, table, drawn = tmp_path / "tags.csv", tmp_path / "truth.csv", tmp_path / "truth"
    index.run(own, tags, tmp_path / "classes.txt")
    assert read_classes(tmp_path / "classes.txt") == ["background", "crack", "spall"]
    assert {record.id: record.tags for record in read_index(tags)} == TAGS
    assert LAYOUTS["voc"].rendered(own)
    render_truth.run(own, tags, drawn)
    ground_truth.run(own, tags, table, rendered=drawn)
    named = read_ground_truth(table)
    assert named.keys() == wanted.keys()
    for name, path in named.items():
        np.testing.assert_array_equal(read_labels(path), wanted[name])


def test_a_key_renumbers_the_colours(own: VocData) -> None:
    put_text(own.root / "labelmap.txt", CVAT)
    for name, label in (("a", 1), ("b", 1), ("c", 2)):
        paint(own.root / "SegmentationClass" / f"{name}.png", mask(label), COLOURS)
    data = own.model_copy(update={"classes": ["spall", "crack"]})
    assert told(data) == (["spall", "crack"], {"a": ("crack",), "b": ("crack",), "c": ("spall",)})
    with refused(own.root / "SegmentationClass/c.png", "colour 51,221,255 is of no class"):
        voc.index(own.model_copy(update={"classes": ["crack"]}))


def test_indices_are_read_where_a_mask_has_other_colours(own: VocData) -> None:
    path = put_text(own.root / "labelmap.txt", "crack:1,2,3::\nbackground:9,9,9::\nspall:4,5,6::")
    with refused(own.root / "SegmentationClass/a.png", "what its indices mean is unknown", "put it first"):
        voc.index(own)
    put_text(path, "background:9,9,9::\ncrack:1,2,3::\nspall:4,5,6::")
    assert told(own)[1] == TAGS


def test_colours_without_numbers_are_those_of_voc_s_palette(tmp_path: Path) -> None:
    put_text(tmp_path / "labelmap.txt", "background:::\ncrack:::")
    found = own_classes(tmp_path, [])
    assert found is not None and found.colours == {(0, 0, 0): 0, (128, 0, 0): 1, (224, 224, 192): 255}


def test_a_mask_of_another_mode_is_not_one_in_colours(tmp_path: Path) -> None:
    Image.new("LA", (4, 4)).save(tmp_path / "m.png")
    assert labels_by_colour(tmp_path / "m.png", {(0, 0, 0): 0}) is None
    with refused(put_text(tmp_path / "b.png", "no image"), "not a readable mask"):
        labels_by_colour(tmp_path / "b.png", {})


# lists, photographs and annotations as tools write them


def move_lists(root: Path) -> None:
    (root / "ImageSets/Segmentation").rename(root / "ImageSets/Main")


def flag_lists(root: Path) -> None:
    put_text(root / "ImageSets/Segmentation/train.txt", "a  1\r\nb -1\r\n")


def quote_lists(root: Path) -> None:
    put_text(root / "ImageSets/Segmentation/train.txt", '\ufeff"a"\nb.JPG\n\n')


def png_photographs(root: Path) -> None:
    for suffix, name in (("png", "a"), ("JPG", "b"), ("jpeg", "c")):
        (root / f"JPEGImages/{name}.jpg").unlink()
        put_image(root / f"JPEGImages/{name}.{suffix}", SIZE[1], SIZE[0])


def name_spaces(root: Path) -> None:
    space = '<annotation xmlns="urn:x"><object><name> crack </name></object></annotation>'
    put_text(root / "Annotations/a.xml", "\ufeff" + '<?xml version="1.0" encoding="utf-8"?>' + space)


def utf16(root: Path) -> None:
    text = '<?xml version="1.0" encoding="utf-16"?>' + annotation("crack", "crack")
    put_text(root / "Annotations/a.xml", text.encode("utf-16"))


@pytest.mark.parametrize("change", [move_lists, flag_lists, quote_lists, png_photographs, name_spaces, utf16])
def test_what_other_tools_write_is_read(own: VocData, change: Callable[[Path], None]) -> None:
    change(own.root)
    data = own.model_copy(update={"classes": ["crack", "spall"], "tags": "annotations"})
    assert told(data) == (["crack", "spall"], TAGS)
    assert all(path.is_file() for path in voc.photographs(data))
    assert voc.truth(data, voc.index(data)[1])["c"] == own.root / "SegmentationClass/c.png"


def test_photographs_in_folders_and_with_blanks(own: VocData) -> None:
    for folder, suffix in (("JPEGImages", "jpg"), ("Annotations", "xml"), ("SegmentationClass", "png")):
        for old, new in (("a", "cam 1/x"), ("b", "left 1")):
            path = own.root / folder / f"{new}.{suffix}"
            path.parent.mkdir(exist_ok=True)
            (own.root / folder / f"{old}.{suffix}").rename(path)
    put_text(own.root / "ImageSets/Segmentation/train.txt", "cam 1\\x\nleft 1\n")
    data = own.model_copy(update={"classes": ["crack", "spall"]})
    wanted = {"cam 1__x": ("crack",), "left 1": ("crack", "spall"), "c": ("spall",)}
    for tags in ("masks", "annotations"):
        assert told(data.model_copy(update={"tags": tags}))[1] == wanted
    truths = voc.truth(data, voc.index(data)[1])
    assert truths["cam 1__x"] == own.root / "SegmentationClass/cam 1/x.png" and len(truths) == 3


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("<annotation><object>", ["not a readable annotation", "replace the file"]),
        ("", ["not a readable annotation"]),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', ["not a readable annotation"]),
        ("<annotations><image/></annotations>", ["<annotations> in the place of <annotation>", "Pascal VOC's form"]),
        ("<annotation><object/></annotation>", ["an object without a name"]),
        ("<annotation><object><name> </name></object></annotation>", ["an object without a name"]),
    ],
)
def test_broken_annotations_are_one_line(own: VocData, text: str, parts: list[str]) -> None:
    path = put_text(own.root / "Annotations/a.xml", text)
    with refused(path, *parts):
        voc.index(own.model_copy(update={"classes": ["crack", "spall"], "tags": "annotations"}))


def test_other_faults_of_a_tree_are_one_line(own: VocData) -> None:
    data = own.model_copy(update={"classes": ["crack", "spall"]})
    with refused(own.root / "ImageSets/Segmentation/default.txt", "no such list", "there: train, val"):
        voc.index(data.model_copy(update={"train": "default"}))
    with refused(own.root / "masks", "no such folder", "there: SegmentationClass"):
        voc.index(data.model_copy(update={"masks": "masks"}))
    (own.root / "SegmentationClass/a.png").unlink()
    with refused(own.root / "SegmentationClass/a.png", "no such mask", "set data.tags to annotations"):
        voc.index(data)
    put_image(own.root / "JPEGImages/a.png", SIZE[1], SIZE[0])
    with refused(own.root / "JPEGImages/a.jpg", "a.png is beside it", "keep one"):
        voc.index(data)
    put_text(own.root / "ImageSets/Segmentation/train.txt", "a" * 300)
    with pytest.raises(TagsegError, match="File name too long"):
        voc.index(data)
    put_text(own.root / "ImageSets/Segmentation/train.txt", "b\n" + "b\0")
    with refused(f"{own.root / 'ImageSets/Segmentation/train.txt'}:2", "is not a name", "save the list as UTF-8"):
        voc.index(data)
    put_text(own.root / "ImageSets/Segmentation/train.txt", "")
    with refused(own.root / "ImageSets/Segmentation/train.txt", "no image in it"):
        voc.index(data.model_copy(update={"val": ""}))


def test_boxes_alone_give_tags_and_nothing_to_evaluate(own: VocData, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(own.root / "SegmentationClass")
    data = own.model_copy(update={"classes": ["crack", "spall"], "tags": "annotations"})
    assert told(data)[1] == TAGS and not voc.has_truth(data)
    assert "nothing can be evaluated" in caplog.text
    assert voc.truth(data, voc.index(data)[1]) == {}
    assert not voc.has_truth(own.model_copy(update={"val": ""}))
    assert [record.split for record in voc.index(data.model_copy(update={"val": ""}))[1]] == ["train", "train"]


# what follows


def test_the_test_server_takes_voc_s_classes_alone(own: VocData, tmp_path: Path) -> None:
    index.run(own.model_copy(update={"classes": ["crack", "spall"]}), tmp_path / "t.csv", tmp_path / "c.txt")
    with refused(tmp_path / "c.txt", "not VOC's classes"):
        submission.run([], tmp_path / "t.csv", tmp_path / "c.txt", tmp_path / "s.tar.gz", split="val")
    command = ["check-submission", str(tmp_path / "s.tar.gz"), "--tags", str(tmp_path / "t.csv"), "--split", "val"]
    outcome = CliRunner().invoke(cli.app, command)
    assert "tag 'crack' is not a class of VOC" in str(outcome.exception)


def test_a_file_of_voc_s_own_classes_is_voc(own: VocData) -> None:
    put_text(own.root / "labels.txt", "\n".join(["_background_", *voc.CLASSES]))
    assert voc.other_classes(own) == "" and told(own.model_copy(update={"tags": "masks"}))[0] == list(voc.CLASSES)


@pytest.mark.slow
def test_published_rows_and_an_archive_are_for_voc_s_classes(own: VocData, tmp_path: Path) -> None:
    put_text(own.root / "labelmap.txt", CVAT)
    data = {"kind": "voc", "root": str(own.root), "train": "train", "masks": "SegmentationClass"}
    configs = [REPOSITORY / "config" / "voc.yaml", overlay(tmp_path / "own.yaml", "voc", data={**data, "sbd": ""})]
    failed = snakemake(prepare(tmp_path / "run"), "--dry-run", configs=configs)
    assert "config: datasets.voc.published: voc, but its classes are not VOC's" in failed.stdout + failed.stderr
    configs.append(overlay(tmp_path / "none.yaml", "voc", published="none", submission="val"))
    failed = snakemake(tmp_path / "run", "--dry-run", "results/voc/submission.tar.gz", configs=configs)
    assert "voc: its classes are not VOC's" in failed.stdout + failed.stderr
    whole = snakemake(tmp_path / "run", "--dry-run", "results/voc/ground_truth.csv", configs=configs)
    assert whole.returncode == 0 and "draw the truth masks" in whole.stdout + whole.stderr
