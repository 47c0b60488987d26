"""COCO: tags, splits and truth of a small tree by hand, of coco_mini against pycocotools' own masks."""

import contextlib
import copy
import csv
import io
import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from trees import put_image, put_text, refused

from tagseg.config.data import CocoData
from tagseg.config.parsing import parse_config
from tagseg.datasets import coco
from tagseg.datasets.index import read_classes, read_ground_truth, read_index
from tagseg.images.files import read_labels
from tagseg.stages import ground_truth, index, render_truth

# numpy warns of the way in which the library hands arrays over
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
MINI = {"val": "", "val_share": 0.2}


def box(x: int, y: int, width: int, height: int) -> list[float]:
    """A rectangle as a polygon: pixels x to x + width - 1, y to y + height - 1."""
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def crowd(x: int, y: int, width: int, height: int, size: tuple[int, int]) -> dict[str, Any]:
    """The same as run lengths, column by column."""
    pixels = np.zeros(size, dtype=np.uint8)
    pixels[y : y + height, x : x + width] = 1
    flat = pixels.flatten(order="F")
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
    counts = np.diff(np.concatenate([[0], changes, [len(flat)]]))
    return {"size": list(size), "counts": [int(count) for count in counts]}


def annotation(number: int, image: int, category: int, segmentation: Any, iscrowd: int = 0) -> dict[str, Any]:
    return {
        "id": number, "image_id": image, "category_id": category, "segmentation": segmentation, "iscrowd": iscrowd
    }  # fmt: skip


# ids neither start at 1 nor follow the alphabet
CATEGORIES = [{"id": 9, "name": "apple"}, {"id": 3, "name": "zebra"}, {"id": 5, "name": "hot dog"}]


def write(path: Path, content: Any) -> Path:
    return put_text(path, json.dumps(content))


def images_of(folder: Path, numbers: range) -> list[dict[str, Any]]:
    for number in numbers:
        put_image(folder / f"{number:04d}.png", 20, 12)
    return [{"id": number, "file_name": f"{number:04d}.png", "width": 20, "height": 12} for number in numbers]


@pytest.fixture
def tree(tmp_path: Path) -> CocoData:
    """Three training images, of which the last has nothing on it, and one to evaluate on."""
    train = images_of(tmp_path / "train2014", range(1, 4))
    val = images_of(tmp_path / "val2014", range(4, 5))
    annotations = [
        annotation(1, 1, 3, [box(4, 4, 4, 4)]),  # within the next: smaller, so on top, though listed first
        annotation(2, 1, 9, [box(2, 2, 10, 8)]),
        annotation(3, 1, 3, [box(14, 1, 3, 3), box(16, 8, 2, 2)]),  # of two parts
        annotation(4, 2, 5, crowd(0, 0, 10, 12, (12, 20)), iscrowd=1),
        annotation(5, 2, 9, [box(1, 1, 18, 10)]),  # much larger than the crowd, and yet on top of it
        annotation(6, 2, 9, [[1.0, 1.0, 3.0, 3.0]]),  # a line has no area
    ]
    write(
        tmp_path / "annotations" / "instances_train2014.json",
        {"images": train, "annotations": annotations, "categories": CATEGORIES},
    )
    write(
        tmp_path / "annotations" / "instances_val2014.json",
        {"images": val, "annotations": [annotation(7, 4, 5, [])], "categories": CATEGORIES[::-1]},
    )
    return CocoData(root=tmp_path)


def test_classes_tags_and_splits(tree: CocoData) -> None:
    classes, records = coco.index(tree)
    assert classes == ["zebra", "hot dog", "apple"]
    assert [(record.id, record.split, record.tags) for record in records] == [
        ("0001", "train", ("zebra", "apple")),
        ("0002", "train", ("hot dog", "apple")),
        ("0003", "train", ()),
        ("0004", "val", ("hot dog",)),
    ]
    assert records[3].path == tree.root / "val2014" / "0004.png" and (records[3].width, records[3].height) == (20, 12)


def test_the_smallest_object_wins_and_a_crowd_lies_below_all(tree: CocoData) -> None:
    _, records = coco.index(tree)
    masks = dict(coco.render(tree, records))
    first = np.zeros((12, 20), dtype=np.uint8)
    first[2:10, 2:12] = 3
    first[4:8, 4:8] = 1
    first[1:4, 14:17] = first[8:10, 16:18] = 1
    np.testing.assert_array_equal(masks["0001"], first)
    second = np.zeros((12, 20), dtype=np.uint8)
    second[:, :10] = 255
    second[1:11, 1:19] = 3
    np.testing.assert_array_equal(masks["0002"], second)
    assert not masks["0003"].any() and masks["0003"].dtype == np.uint8
    assert "0004" not in masks  # where its one object lies, nobody has said


def test_of_two_objects_of_one_size_the_later_is_on_top(tree: CocoData) -> None:
    path = tree.root / "annotations" / "instances_train2014.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["annotations"] = [annotation(8, 1, 5, [box(3, 3, 4, 4)]), annotation(7, 1, 9, [box(3, 3, 4, 4)])]
    write(path, content)
    assert dict(coco.render(tree, coco.index(tree)[1]))["0001"][4, 4] == 2


def test_from_annotations_to_the_table_of_truth(tree: CocoData) -> None:
    tags, classes, truth, masks = (tree.root / name for name in ("tags.csv", "classes.txt", "truth.csv", "masks"))
    for record in images_of(tree.root / "train2014", range(1, 4)) + images_of(tree.root / "val2014", range(4, 5)):
        put_image(tree.root / ("val2014" if record["id"] == 4 else "train2014") / record["file_name"], 40, 32)
    for split in ("train", "val"):
        path = tree.root / "annotations" / f"instances_{split}2014.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        content["annotations"] = [a for a in content["annotations"] if not a["iscrowd"]]
        write(path, {**content, "images": [{**image, "width": 40, "height": 32} for image in content["images"]]})
    index.run(tree, tags, classes)
    render_truth.run(tree, tags, masks)
    ground_truth.run(tree, tags, truth, rendered=masks)
    assert read_classes(classes) == ["background", "zebra", "hot dog", "apple"]
    named = read_ground_truth(truth)
    assert named == {record.id: masks / f"{record.id}.png" for record in read_index(tags) if record.split == "train"}
    assert read_labels(named["0001"])[5, 5] == 1 and read_labels(named["0001"]).shape == (32, 40)


def test_a_share_of_the_training_images_is_kept_for_evaluation(tree: CocoData) -> None:
    path = tree.root / "annotations" / "instances_train2014.json"
    images = images_of(tree.root / "train2014", range(1, 101))
    write(path, {"images": images, "annotations": [], "categories": CATEGORIES})
    data = CocoData(root=tree.root, **MINI)
    records = coco.index(data)[1]
    kept = {record.id for record in records if record.split == "val"}
    assert 12 <= len(kept) <= 28
    assert [record.split for record in records] == ["train"] * (100 - len(kept)) + ["val"] * len(kept)
    # an image's side does not depend on the others
    write(path, {"images": images[50:], "annotations": [], "categories": CATEGORIES})
    assert {r.id for r in coco.index(data)[1] if r.split == "val"} == {name for name in kept if int(name) > 50}
    assert coco.has_truth(data) and not coco.has_truth(CocoData(root=tree.root, val=""))
    assert {record.split for record in coco.index(CocoData(root=tree.root, val=""))[1]} == {"train"}


def test_two_sources_of_val_are_refused() -> None:
    with refused("config: datasets.mine.data: ", "val and val_share", "set val to '' or val_share to 0"):
        parse_config(
            {"default": "mine", "datasets": {"mine": {"data": {"kind": "coco", "root": "r", "val_share": 0.1}}}}
        )


def changed(content: dict[str, Any], *at: Any, to: Any = None) -> dict[str, Any]:
    """A copy with one entry replaced, or removed."""
    new = copy.deepcopy(content)
    here: Any = new
    for part in at[:-1]:
        here = here[part]
    if to is None:
        del here[at[-1]]
    else:
        here[at[-1]] = to
    return new


@pytest.mark.parametrize(
    ("at", "to", "parts"),
    [
        (["annotations"], None, ["not an instances_*.json file", "'annotations'", "it needs images, categories"]),
        (["annotations", 0, "category_id"], None, ["not an instances_*.json file", "'category_id'"]),
        (["images", 0, "file_name"], None, ["not an instances_*.json file", "'file_name'"]),
        (["categories"], None, ["not an instances_*.json file", "'categories'"]),
        (["annotations", 1, "category_id"], 77, ["annotation 2 is of category 77, which the file lacks", "drop"]),
        (["annotations", 1, "image_id"], 77, ["annotation 2 is of image 77, which the file lacks"]),
        (["categories", 0, "name"], "background", ["'background'", "rename it"]),
        (["categories", 0, "name"], "zebra", ["class 'zebra' is listed twice", "name each class once"]),
        (["categories", 0, "name"], "a;b", ["class 'a;b'", "no ';'", "rename it"]),
        (["categories"], [{"id": i, "name": f"c{i}"} for i in range(255)], ["255 classes", "room for 254"]),
        (["images", 1, "file_name"], "0001.png", ["two photographs are called 0001"]),
    ],
)
def test_faults_of_an_annotation_file_are_named(tree: CocoData, at: list[Any], to: Any, parts: list[str]) -> None:
    path = tree.root / tree.train
    write(path, changed(json.loads(path.read_text(encoding="utf-8")), *at, to=to))
    with refused(path, *parts):
        coco.index(tree)


def test_other_faults_are_named(tree: CocoData) -> None:
    path = tree.root / tree.train
    content = json.loads(path.read_text(encoding="utf-8"))
    _, records = coco.index(tree)
    for outline in (["no outline"], {"size": [12, 20]}, {"size": [3, 3], "counts": [9]}, [["a"] * 6]):
        write(path, changed(content, "annotations", 1, "segmentation", to=outline))
        with refused(path, "annotation 2: its segmentation cannot be drawn", "fix or drop it"):
            list(coco.render(tree, records))
    write(path, changed(content, "images", to=[]) | {"annotations": []})
    with refused(path, "no images in it"):
        coco.index(CocoData(root=tree.root, val=""))
    write(path, changed(content, "images", 0, "width", to=21))
    with refused(tree.root / "train2014" / "0001.png", "20 x 12 pixels, but 21 x 12 in", "that was annotated"):
        coco.index(tree)
    write(path, content)
    val = tree.root / tree.val
    write(val, changed(json.loads(val.read_text(encoding="utf-8")), "categories", 0, "name", to="pear"))
    with refused(val, "categories are not those of annotations/instances_train2014.json"):
        coco.index(tree)
    put_text(path, "{")
    with refused(path, "not a readable JSON file", "replace it"):
        coco.index(tree)
    path.unlink()
    with refused(path, "no such file", "set data.train and data.val"):
        coco.index(tree)


# coco_mini


def own_masks(path: Path) -> dict[str, np.ndarray]:
    """By pycocotools' own reader: each object's mask, the largest painted first."""
    with contextlib.redirect_stdout(io.StringIO()):
        reader = COCO(str(path))
    label = {category: i for i, category in enumerate(sorted(reader.cats), start=1)}
    masks = {}
    for number, image in reader.imgs.items():
        mask = np.zeros((image["height"], image["width"]), dtype=np.uint8)
        objects = reader.loadAnns(reader.getAnnIds(imgIds=[number]))
        for found in sorted(objects, key=lambda entry: -int(coco_mask.area(reader.annToRLE(entry)))):
            mask[reader.annToMask(found) == 1] = label[found["category_id"]]
        masks[Path(image["file_name"]).stem] = mask
    return masks


def test_the_mini_tree_s_truth_is_pycocotools_own(coco_mini: Path) -> None:
    data = CocoData(root=coco_mini, **MINI)
    _, records = coco.index(data)
    wanted = own_masks(coco_mini / data.train)
    masks = dict(coco.render(data, records))
    assert len(masks) == 100 and masks.keys() == wanted.keys()
    for image_id, mask in masks.items():
        np.testing.assert_array_equal(mask, wanted[image_id], err_msg=image_id)


def test_the_mini_tree_s_classes_are_those_of_the_paper_s_table(coco_mini: Path) -> None:
    text = (resources.files("tagseg") / "resources/published/table8_coco_val.csv").read_text(encoding="utf-8")
    published = [row["class"] for row in csv.DictReader(io.StringIO(text))]
    assert published[0] == "background" and published[-1] == "mean IOU"
    # the paper spells one name in another way than the annotation files do
    named = ["hair drier" if name == "hair dryer" else name for name in published[1:-1]]
    assert coco.index(CocoData(root=coco_mini, **MINI))[0] == named and len(named) == 80


def test_the_mini_tree_s_tags_and_splits(coco_mini: Path) -> None:
    _, records = coco.index(CocoData(root=coco_mini, **MINI))
    tags = {record.id: record.tags for record in records}
    assert len(tags) == 100
    assert tags["000000000009"] == ("bowl", "orange", "broccoli")
    assert tags["000000000250"] == tags["000000000508"] == ()
    assert tags["000000000030"] == ("potted plant", "vase")
    val = {record.id for record in records if record.split == "val"}
    assert len(val) == 22 and "000000000009" not in val
