"""COCO files as other tools write them, files of other kinds in their place, and files with anything in them."""

import copy
import json
import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from trees import put_image, put_text, refused

from tagseg.config.data import CocoData
from tagseg.datasets import coco
from tagseg.datasets.coco_images import CocoPhotographs
from tagseg.datasets.coco_truth import draw
from tagseg.errors import TagsegError
from tagseg.stages import index, render_truth

# numpy warns of the way in which the library hands arrays over
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = (36, 44)  # height, width
SQUARE = [4, 4, 12, 4, 12, 12, 4, 12]
FILE = "instances.json"


def square() -> np.ndarray:
    pixels = np.zeros(SIZE, dtype=np.uint8)
    pixels[4:12, 4:12] = 1
    return pixels


def document() -> dict[str, Any]:
    """Two images, a disc on the first and a ring on the second."""
    return {
        "images": [
            {"id": i, "file_name": f"{name}.png", "width": 44, "height": 36} for i, name in ((1, "a"), (2, "b"))
        ],
        "categories": [{"id": 1, "name": "disc"}, {"id": 2, "name": "ring"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": i, "segmentation": [SQUARE], "bbox": [4, 4, 8, 8], "iscrowd": 0}
            for i in (1, 2)
        ],
    }


@pytest.fixture
def data(tmp_path: Path) -> CocoData:
    for name in ("a", "b"):
        put_image(tmp_path / "img" / f"{name}.png", SIZE[1], SIZE[0])
    return CocoData(root=tmp_path, train=FILE, train_images="img", val="")


def put(data: CocoData, content: Any, before: bytes = b"") -> Path:
    return put_text(data.root / FILE, before + json.dumps(content).encode())


def told(data: CocoData) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    classes, records = coco.index(data)
    assert {(record.width, record.height) for record in records} == {(44, 36)}
    return classes, {record.id: record.tags for record in records}


def drawn(data: CocoData) -> dict[str, list[int]]:
    """Labels in each truth mask."""
    return {name: np.unique(mask).tolist() for name, mask in coco.render(data, coco.index(data)[1])}


def changed(part: str, place: int = 0, /, **keys: Any) -> dict[str, Any]:
    """The document with some keys of an entry set, or taken out where the value is `...`."""
    content = document()
    content[part][place] |= keys
    content[part][place] = {key: value for key, value in content[part][place].items() if value is not ...}
    return content


def mapped(**convert: Any) -> dict[str, Any]:
    """The document with every key of these names converted."""
    content = document()
    for entries in content.values():
        for entry in entries:
            for key in entry.keys() & convert.keys():
                entry[key] = convert[key](entry[key])
    return content


WHOLE = (["disc", "ring"], {"a": ("disc",), "b": ("ring",)})
ROOT = {"id": 0, "name": "ring", "supercategory": "none"}


def with_root() -> dict[str, Any]:
    """As Roboflow writes it: the first category is the project, perhaps with the name of a class."""
    content = document()
    return content | {"categories": [ROOT, *({**entry, "supercategory": "ring"} for entry in content["categories"])]}


READ = {
    "as it should be": document(),
    "width null": mapped(width=lambda _: None),
    "no size": {**document(), "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]},
    "sizes as text": mapped(width=str, height=str),
    "sizes 0 and -1": mapped(width=lambda _: 0, height=lambda _: -1),
    "sizes of no sense": mapped(width=lambda _: [44], height=lambda _: "tall"),
    "sizes as floats": mapped(width=float, height=float),
    "category ids as text": mapped(category_id=str),
    "all ids as text": mapped(category_id=str, image_id=str, id=str),
    "ids as floats": mapped(category_id=float, image_id=float),
    "ids that are words": mapped(image_id="i{}".format, id="i{}".format, category_id="i{}".format),
    "no annotation ids": {**document(), "annotations": [{**a, "id": None} for a in document()["annotations"]]},
    "iscrowd missing": changed("annotations", iscrowd=...),
    "iscrowd false": changed("annotations", iscrowd=False),
    "iscrowd as text": changed("annotations", iscrowd="0"),
    "iscrowd null": changed("annotations", iscrowd=None),
    "Roboflow's root": with_root(),
    "labelme's background": {
        **document(),
        "categories": [{"id": 0, "name": "_background_"}, *document()["categories"]],
    },
    "backslashes": mapped(file_name=".\\{}".format),
    "the folder's name before": mapped(file_name="img/{}".format),
    "absolute": mapped(file_name="/data/upload/1/{}".format),
    "of another system": mapped(file_name="C:\\data\\{}".format),
    "from above": mapped(file_name="../../media/{}".format),
    "a URL": mapped(file_name="https://example.org/x%20y/{}?token=1".format),
    "Label Studio's link": mapped(file_name="/data/local-files/?d=x/{}".format),
    "coco_url alone": {
        **document(),
        "images": [{"id": i, "coco_url": f"http://images/{name}.png"} for i, name in ((1, "a"), (2, "b"))],
    },
    "an image listed twice": {**document(), "images": [*document()["images"], document()["images"][0]]},
}


@pytest.mark.parametrize("name", READ)
def test_what_other_tools_write_is_read(data: CocoData, name: str) -> None:
    put(data, READ[name])
    assert told(data) == WHOLE
    assert drawn(data) == {"a": [0, 1], "b": [0, 2]}


def test_a_mark_at_the_file_s_start_is_passed_over(data: CocoData) -> None:
    put(data, document(), b"\xef\xbb\xbf")
    assert told(data) == WHOLE
    put_text(data.root / FILE, json.dumps(document()).encode("utf-16"))
    assert told(data) == WHOLE


@pytest.mark.parametrize("segmentation", [..., None, [], [[]], {}, ""])
def test_boxes_without_an_outline_give_tags_but_no_truth(
    data: CocoData, segmentation: Any, caplog: pytest.LogCaptureFixture
) -> None:
    put(data, changed("annotations", segmentation=segmentation))
    assert told(data) == WHOLE
    assert "1 of 2 annotations have no segmentation: they give tags, but their images have no truth" in caplog.text
    assert drawn(data) == {"b": [0, 2]}


def test_boxes_alone_are_indexed_and_drawn_as_nothing(tmp_path: Path, data: CocoData) -> None:
    content = document()
    content["annotations"] = [{"image_id": 1, "category_id": 1, "keypoints": [1, 2, 3], "num_keypoints": 1}]
    put(data, content)
    index.run(data, tmp_path / "t.csv", tmp_path / "c.txt")
    render_truth.run(data, tmp_path / "t.csv", tmp_path / "truth")
    assert [path.name for path in (tmp_path / "truth").iterdir()] == ["b.png"]  # nothing is on it


def test_images_in_folders_have_ids_of_their_own(data: CocoData) -> None:
    for camera in ("cam1", "cam2"):
        put_image(data.root / "img" / camera / "0001.png", SIZE[1], SIZE[0])
    content = document()
    for image, name in zip(content["images"], ("cam1/0001.png", "cam2\\0001.png"), strict=True):
        image["file_name"] = name
    put(data, content)
    assert told(data)[1] == {"cam1__0001": ("disc",), "cam2__0001": ("ring",)}
    assert drawn(data) == {"cam1__0001": [0, 1], "cam2__0001": [0, 2]}
    assert told(data.model_copy(update={"leave_out": ["cam1__0001"]}))[1].keys() >= {"cam2__0001"}


def test_which_photograph_a_name_means(tmp_path: Path) -> None:
    for name in ("a.png", "x/a.png", "x/y/b.png", "x/c.png", "z/c.png"):
        put_image(tmp_path / "img" / name, 4, 4)
    photographs = CocoPhotographs(tmp_path / "img")
    for written, wanted in {
        "a.png": "a.png", "x/a.png": "x/a.png", "/srv/x/a.png": "x/a.png", "/srv/q/a.png": "a.png",
        "http://[bad/b.png": None, "/srv/b.png": "x/y/b.png", "b.png": None, "q/a.png": None, "": None,
    }.items():  # fmt: skip
        assert photographs.find(written)[1] == (tmp_path / "img" / wanted if wanted else None), written
    with pytest.raises(TagsegError, match=r"may be x/c.png or z/c.png; write its whole path"):
        photographs.find("/srv/c.png")


REFUSED = {
    "two images of one id": (changed("images", 1, id=1), ["'a.png' and 'b.png' have one id, 1", "give each its own"]),
    "two images of one file": (changed("images", 1, file_name="a.png"), ["two photographs are called a"]),
    "an image that is not there": (changed("images", 1, file_name="c.png"), ["image 2 is 'c.png'", "no such photog"]),
    "an image without a name": (changed("images", 1, file_name=None), ["image 2 has no 'file_name'"]),
    "an image without an id": (changed("images", 1, id=...), ["image 2 of the list has no 'id'"]),
    "an id of no sense": (changed("images", 1, id=1.5), ["image 2 of the list has an unreadable 'id'"]),
    "an unknown image": (changed("annotations", image_id=9), ["annotation 1 is of image 9, which the file lacks"]),
    "an unknown category": (changed("annotations", category_id=9), ["annotation 1 is of category 9", "add the cat"]),
    "no image's id": (changed("annotations", image_id=...), ["annotation 1 has no 'image_id'"]),
    "a category id of no sense": (changed("annotations", category_id=[1]), ["an unreadable 'category_id'"]),
    "a category without a name": (changed("categories", name=...), ["category 1 has no name; give it one"]),
    "a category of name null": (changed("categories", name=None), ["category 1 has no name"]),
    "two categories of one name": (changed("categories", name="ring"), ["class 'ring' is listed twice"]),
    "a root that is annotated": (
        {**with_root(), "annotations": [{"image_id": 1, "category_id": 0}]},
        ["class 'ring' is listed twice"],
    ),
    "background on an image": (changed("categories", name="_background_"), ["'_background_'", "rename it"]),
    "semicolons": (changed("categories", name="wall;building"), ["'wall;building'", "no ';'", "rename it"]),
    "no categories": ({**document(), "categories": ...}, ["'categories' is missing", "it needs images, categories"]),
    "categories by name": ({**document(), "categories": {"1": "disc"}}, ["'categories' is not a list"]),
    "an empty list of categories": (
        {**document(), "categories": [], "annotations": []},
        ["no category in it", "add the classes"],
    ),
    "an entry that is no object": ({**document(), "annotations": [7]}, ["annotation 1 is not an object"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_one_line(data: CocoData, name: str) -> None:
    content, parts = REFUSED[name]
    with refused(put(data, {key: value for key, value in content.items() if value is not ...}), *parts):
        coco.index(data)


def test_what_is_told_of_an_image_can_be_left_out(data: CocoData, tmp_path: Path) -> None:
    for name in ("/srv/c.png", "c.png"):
        put(data, changed("images", 1, file_name=name))
        with pytest.raises(TagsegError):
            index.run(data, tmp_path / "t.csv", tmp_path / "c.txt", report=tmp_path / "report.csv")
        told_id = (tmp_path / "report.csv").read_text(encoding="utf-8").splitlines()[1].split(",")[1]
        index.run(data.model_copy(update={"leave_out": [told_id]}), tmp_path / "t.csv", tmp_path / "c.txt")


def test_names_with_commas_are_names(data: CocoData) -> None:
    put(data, changed("categories", name="disc, round; "[:-2]))
    assert told(data)[0] == ["disc, round", "ring"]


OTHERS = {
    "LabelMe": ({"version": "5", "shapes": [], "imagePath": "a.png", "imageData": None}, "a LabelMe file"),
    "Label Studio": ([{"id": 1, "data": {"image": "a.png"}, "annotations": []}], "a Label Studio export"),
    "a Label Studio task": ({"data": {"image": "a.png"}, "annotations": []}, "a Label Studio task"),
    "VIA": ({"a.png123": {"filename": "a.png", "size": 1, "regions": []}}, "a VGG Image Annotator file"),
    "a VIA project": ({"_via_settings": {}, "_via_img_metadata": {}}, "a VGG Image Annotator file"),
    "results": ([{"image_id": 1, "category_id": 1, "bbox": [], "score": 0.5}], "a results file"),
    "annotations alone": (document()["annotations"], "a list of annotations alone"),
    "CreateML": ([{"image": "a.png", "annotations": []}], "a CreateML file"),
    "a table of tags": ([{"image": "a.png", "tags": ["disc"]}], "a table of tags; use it with kind folder"),
    "an object of tags": ({"a.png": ["disc"]}, "a table of tags; use it with kind folder"),
    "captions": ({**document(), "categories": ..., "annotations": [{"caption": "x"}]}, "a captions_*.json file"),
    "GeoJSON": ({"type": "FeatureCollection", "features": []}, "GeoJSON"),
    "Datumaro": ({"info": {}, "categories": {}, "items": []}, "a Datumaro file"),
    "Labelbox": ([{"data_row": {}}], "a Labelbox export"),
    "a list": ([1, 2], "a list; give an instances_*.json file"),
    "a number": (7, "a single number"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_another_kind_is_named(data: CocoData, name: str) -> None:
    content, what = OTHERS[name]
    if isinstance(content, dict):
        content = {key: value for key, value in content.items() if value is not ...}
    with refused(put(data, content), f"not an instances_*.json file of COCO, but {what}"):
        coco.index(data)


def test_files_that_are_no_json_are_one_line(data: CocoData) -> None:
    with refused(put_text(data.root / FILE, '{"image": 1}\n{"image": 2}\n'), "but JSON lines", "export it as one"):
        coco.index(data)
    with refused(put_text(data.root / FILE, "[" * 200_000), "nested too deep"):
        coco.index(data)
    with refused(put_text(data.root / FILE, b"\xff\xfe\xff"), "not a readable JSON file"):
        coco.index(data)
    with refused(data.root / "img", "Is a directory", "name a file in that folder"):
        coco.index(data.model_copy(update={"train": "img"}))
    with refused(put(data, document()).with_name("photos"), "no such folder"):
        coco.index(data.model_copy(update={"train_images": "photos"}))


def test_a_photograph_of_a_form_that_is_not_read_says_so(data: CocoData) -> None:
    put_text(data.root / "img" / "c.xcf", "a drawing")
    with refused(put(data, changed("images", 1, file_name="c.xcf")), "in a format that is not read", "convert it"):
        coco.index(data)


# outlines


def rle(counts: Any = ..., size: Any = ...) -> dict[str, Any]:
    flat = square().flatten(order="F")
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
    runs = np.diff(np.concatenate([[0], changes, [len(flat)]])).tolist()
    return {"size": list(SIZE) if size is ... else size, "counts": runs if counts is ... else counts}


PAIRS = [[4, 4], [12, 4], [12, 12], [4, 12]]
TEXT = coco_mask.encode(np.asfortranarray(square()))["counts"].decode()


@pytest.mark.parametrize(
    "outline",
    [
        [SQUARE], SQUARE, PAIRS, [PAIRS], [[str(number) for number in SQUARE]], [SQUARE, [1, 2, 3, 4]], rle(), rle(TEXT)
    ],
)  # fmt: skip
def test_outlines_in_any_form_are_drawn_alike(data: CocoData, outline: Any) -> None:
    put(data, changed("annotations", segmentation=outline))
    np.testing.assert_array_equal(dict(coco.render(data, coco.index(data)[1]))["a"], square())


@pytest.mark.parametrize(
    ("outline", "what"),
    [
        ([[1, 2, 3, 4, 5, 6, 7]], "7 coordinates, an odd number"),
        ([[1, 2, 3, 4, 5, float("nan")]], "far outside"),
        ([[1, 2, 3, 4, 5, 1e9]], "far outside"),
        ([{"x": 1}], "cannot be drawn"),
        ([[1, 2, 3, 4, 5, None]], "cannot be drawn"),
        ("M 0 0", "neither polygons nor run lengths"),
        (rle(size=[44, 36]), "run lengths of size [44, 36], but the photograph is 36 x 44"),
        (rle([9]), "run lengths of 9 pixels, but there are 1584"),
        (rle([-9, 1593]), "run lengths of"),
        (rle("~~"), "cannot be drawn"),
        (rle(TEXT[:-1] + "o"), "cut short"),
        (rle(TEXT[:3]), "run lengths of"),
        (rle(None), "cannot be drawn"),
    ],
)
def test_an_outline_that_cannot_be_drawn_is_named(data: CocoData, outline: Any, what: str) -> None:
    path = put(data, changed("annotations", segmentation=outline))
    records = coco.index(data)[1]  # tags need no outline
    with refused(path, "annotation 1: its segmentation cannot be drawn", what):
        list(coco.render(data, records))


def test_compressed_run_lengths_are_read_as_the_library_writes_them() -> None:
    from tagseg.datasets.coco_file import CocoObject

    rng = np.random.default_rng(0)
    for density in (0.01, 0.3, 0.9):
        pixels = (rng.random((57, 83)) < density).astype(np.uint8)
        text = coco_mask.encode(np.asfortranarray(pixels))["counts"].decode()
        found = CocoObject(1, 1, {"size": [57, 83], "counts": text}, crowd=False)
        np.testing.assert_array_equal(draw(Path("x"), (57, 83), [found], {1: 1}), pixels)


# anything


def spoilt(content: Any, rng: random.Random) -> Any:
    """A copy with one to three entries dropped, doubled, or replaced by something of another kind."""
    content = copy.deepcopy(content)
    for _ in range(rng.randint(1, 3)):
        places: list[tuple[Any, Any]] = []
        stack = [content]
        while stack:
            here = stack.pop()
            keys = list(here) if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else []
            places += [(here, key) for key in keys]
            stack += [here[key] for key in keys]
        if not places:
            return content
        here, key = rng.choice(places)
        values: list[Any] = [
            None, True, -1, 0, 1, 2, 1.0, 1.5, 1e300, float("nan"), float("inf"), "", "1", "a.png", "x;y", "\ud800",
            "a\x00b", "../a.png", "http://[", "/", [], {}, [[]], [None], {"id": 1}, [1, 2], [["a"]], 10**30,
            {"size": [36, 44], "counts": "zz"}, {"counts": [1]}, "9" * 5000, "a\nb",
        ]  # fmt: skip
        what = rng.random()
        if what < 0.25:
            del here[key]
        elif what < 0.35 and isinstance(here, list):
            here.append(copy.deepcopy(here[key]))
        else:
            here[key] = copy.deepcopy(rng.choice(values))
    return content


def test_nothing_in_a_file_ends_in_another_error(data: CocoData, tmp_path: Path) -> None:
    """Five hundred files with something wrong in them: each is read, or refused in one line."""
    rng = random.Random(0)
    logging.disable(logging.WARNING)
    refusals = 0
    whole = with_root()
    whole["annotations"].append({"id": 3, "image_id": 2, "category_id": 1, "segmentation": rle(), "iscrowd": 1})
    try:
        for number in range(500):
            path = put(data, spoilt(whole, rng))
            try:
                index.run(data, tmp_path / "tags.csv", tmp_path / "classes.txt")
                render_truth.run(data, tmp_path / "tags.csv", tmp_path / "truth")
            except TagsegError as error:
                refusals += 1
                assert "\n" not in str(error) and len(str(error)) < 1000, number
                str(error).encode()
                assert str(tmp_path) in str(error), path.read_text(encoding="utf-8")
    finally:
        logging.disable(logging.NOTSET)
    assert 150 < refusals < 450
