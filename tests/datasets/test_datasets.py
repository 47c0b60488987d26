"""Own folders and VOC trees: what an index holds, and errors that name file, line and remedy."""

from pathlib import Path

import numpy as np
import pytest
from trees import put_image, put_text, refused

from tagseg.config.data import DISK_KINDS, FolderData, VocData
from tagseg.datasets import folder, voc
from tagseg.datasets.index import (
    ImageRecord,
    in_shard,
    labels_of,
    read_classes,
    read_ground_truth,
    read_index,
    write_classes,
    write_ground_truth,
    write_index,
)
from tagseg.datasets.layouts import LAYOUTS
from tagseg.errors import TagsegError
from tagseg.images.files import read_labels, write_labels

EXIF_ORIENTATION = 0x0112


def cut_short(path: Path, part: float = 0.6) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    return path


def test_each_kind_is_read_and_has_its_commands() -> None:
    assert LAYOUTS.keys() == DISK_KINDS.keys()
    assert {kind for kind, layout in LAYOUTS.items() if layout.render} == {"voc", "coco", "youtube_objects"}
    assert all(settings(root="r").kind == kind for kind, settings in DISK_KINDS.items())


# the index's files


def test_tags_csv_survives_its_file(tmp_path: Path) -> None:
    records = [
        ImageRecord("a", "train", Path("x, y") / "a.jpg", 20, 12, ("cat", "potted plant")),
        ImageRecord("ü", "val", Path("b.png"), 3, 4, ()),
    ]
    write_index(tmp_path / "tags.csv", records)
    assert read_index(tmp_path / "tags.csv") == records
    assert read_index(tmp_path / "tags.csv", split="val") == records[1:]
    assert (tmp_path / "tags.csv").read_text(encoding="utf-8").splitlines()[0] == (
        "id,split,path,width,height,tags,digest"
    )


def test_faults_of_tags_csv_are_named(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    with refused(path, "no such file", "index the data set first"):
        read_index(path)
    put_text(path, "id,split,path\na,train,a.jpg\n")
    with refused(f"{path}:1", "header lacks width, height, tags", "it needs id,split,path,width,height,tags"):
        read_index(path)
    put_text(path, "id,split,path,width,height,tags\na,train,a.jpg,5,5,\nb,train,b.jpg,wide,5,\n")
    with refused(f"{path}:3", "whole numbers", "index the data set again"):
        read_index(path)
    put_text(path, "id,split,path,width,height,tags\nü,train,a.jpg,5,5,\n".encode("latin-1"))
    with refused(path, "not UTF-8", "save it"):
        read_index(path)
    put_text(path, "")
    with refused(f"{path}:1", "header lacks id"):
        read_index(path)


def test_ground_truth_survives_its_file(tmp_path: Path) -> None:
    masks = {"a": Path("masks") / "a.png", "b": Path("b, c.png")}
    write_ground_truth(tmp_path / "g.csv", masks)
    assert read_ground_truth(tmp_path / "g.csv") == masks
    with refused(tmp_path / "none.csv", "no such file"):
        read_ground_truth(tmp_path / "none.csv")


def test_classes_begin_with_background(tmp_path: Path) -> None:
    write_classes(tmp_path / "classes.txt", ["zebra", "potted plant"])
    assert read_classes(tmp_path / "classes.txt") == ["background", "zebra", "potted plant"]
    with refused(tmp_path / "none.txt", "no such file", "index the data set first"):
        read_classes(tmp_path / "none.txt")


def test_classes_that_are_not_utf_8_are_named(tmp_path: Path) -> None:
    with refused(put_text(tmp_path / "classes.txt", "background\nkäfer\n".encode("latin-1")), "not UTF-8"):
        read_classes(tmp_path / "classes.txt")


def test_labels_of_tags() -> None:
    classes = ["background", "bird", "cat", "dog"]
    assert labels_of(["dog", "bird"], classes) == [0, 1, 3]
    assert labels_of([], classes) == [0]
    with pytest.raises(TagsegError, match=r"^tag 'cow' is not among the classes: background, bird, cat, dog; use"):
        labels_of(["cat", "cow"], classes)


@pytest.mark.parametrize("shards", [1, 3, 7])
def test_shards_part_the_images_in_their_order(shards: int) -> None:
    records = [ImageRecord(str(i), "train", Path("p"), 1, 1, ()) for i in range(5)]
    parts = [in_shard(records, shard, shards) for shard in range(shards)]
    for shard, part in enumerate(parts):
        assert [record.id for record in part] == [str(i) for i in range(5) if i % shards == shard]


# own folders


def own_folder(
    root: Path, table: str | bytes = "image,tags\na.jpg,cat\n", images: tuple[str, ...] = ("a.jpg",)
) -> Path:
    for name in images:
        put_image(root / "images" / name)
    (root / "images").mkdir(parents=True, exist_ok=True)
    return put_text(root / "tags.csv", table)


def indexed(root: Path, **more: object) -> tuple[list[str], list[ImageRecord]]:
    return folder.index(FolderData(kind="folder", root=root, **more))


def test_an_own_folder(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "b.PNG", 7, 9)
    put_text(tmp_path / "images" / "notes.txt", "no image")
    table = "image,tags,split\nb,dog; cat;;dog ,val\na.jpg,,\nc,zebra,train\n"
    own_folder(tmp_path, table, ("a.jpg", "c.webp", "unnamed.jpg"))
    classes, records = indexed(tmp_path)
    assert classes == ["cat", "dog", "zebra"]
    assert records == [
        ImageRecord("b", "val", tmp_path / "images" / "b.PNG", 7, 9, ("cat", "dog")),
        ImageRecord("a", "train", tmp_path / "images" / "a.jpg", 20, 12, ()),
        ImageRecord("c", "train", tmp_path / "images" / "c.webp", 20, 12, ("zebra",)),
    ]


def test_split_is_train_where_there_is_no_such_column(tmp_path: Path) -> None:
    own_folder(tmp_path)
    assert [record.split for record in indexed(tmp_path)[1]] == ["train"]


def test_given_classes_keep_their_order(tmp_path: Path) -> None:
    own_folder(tmp_path)
    assert indexed(tmp_path, classes=["zebra", "cat"])[0] == ["zebra", "cat"]


def test_a_spreadsheet_s_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    own_folder(tmp_path, b"\xef\xbb\xbfimage,tags\r\na.jpg,cat\r\n")
    assert indexed(tmp_path)[0] == ["cat"]


TWO_ROWS = "image,tags\na.jpg,cat\n"


@pytest.mark.parametrize(
    ("table", "line", "parts"),
    [
        ("a.jpg,cat\n", ":1", ["header lacks image, tags", "it needs image,tags"]),
        ("", ":1", ["header lacks image, tags"]),
        (TWO_ROWS + "missing.jpg,cat\n", ":3", ["no image 'missing.jpg'", "images", "add it or drop the line"]),
        (TWO_ROWS + "\na,dog\n", ":4", ["image 'a' was named before", "keep one line"]),
        (TWO_ROWS + ",cat\n", ":3", ["no image ''"]),
        ("image,tags\nä.jpg,cat\n".encode("latin-1"), "", ["not UTF-8", "save it as UTF-8"]),
        ("image,tags\na.jpg,background\n", "", ["'background' is the class of every image", "take it out"]),
        ("image,tags\n", "", ["no images", "add a line image,tags"]),
    ],
)
def test_faults_of_the_table_are_named(tmp_path: Path, table: str | bytes, line: str, parts: list[str]) -> None:
    path = own_folder(tmp_path, table)
    with refused(f"{path}{line}:", *parts):
        indexed(tmp_path)


def test_a_tag_outside_the_given_classes_is_named(tmp_path: Path) -> None:
    path = own_folder(tmp_path, TWO_ROWS + "b.jpg,cow\n", ("a.jpg", "b.jpg"))
    with refused(f"{path}:3:", "tag 'cow'", "is not among the classes: dog, cat"):
        indexed(tmp_path, classes=["dog", "cat"])


def test_a_class_given_twice_is_refused(tmp_path: Path) -> None:
    """Its second label could never be trained nor predicted."""
    own_folder(tmp_path)
    with pytest.raises((TagsegError, ValueError), match="cat"):
        indexed(tmp_path, classes=["cat", "dog", "cat"])


def test_a_folder_without_table_or_images_is_named(tmp_path: Path) -> None:
    with refused(tmp_path / "tags.csv", "no such file", "images/ and tags.csv (image,tags)"):
        indexed(tmp_path)
    put_text(tmp_path / "tags.csv", TWO_ROWS)
    with refused(tmp_path / "images", "no such folder", "put the photographs there"):
        indexed(tmp_path)


def test_two_images_of_one_name_are_told_apart_or_refused(tmp_path: Path) -> None:
    path = own_folder(tmp_path, images=("a.jpg", "a.png"))
    assert [record.path.name for record in indexed(tmp_path)[1]] == ["a.jpg"]
    put_text(path, "image,tags\na,cat\n")
    with refused(f"{path}:2:", "may be a.jpg or a.png", "write its whole path"):
        indexed(tmp_path)
    put_text(path, TWO_ROWS + "a.png,cat\n")
    with refused(f"{path}:3:", "a.png and a.jpg would have one id, a", "rename one"):
        indexed(tmp_path)


def test_a_broken_photograph_is_found_by_the_index(tmp_path: Path) -> None:
    own_folder(tmp_path)
    path = cut_short(put_image(tmp_path / "images" / "a.jpg", 200, 150))
    with refused(path, "not a readable image"):
        indexed(tmp_path)


def test_masks_of_an_own_folder_are_those_that_exist(tmp_path: Path) -> None:
    own_folder(tmp_path, "image,tags\na,cat\nb,cat\n", ("a.jpg", "b.jpg"))
    data = FolderData(kind="folder", root=tmp_path)
    records = folder.index(data)[1]
    assert folder.truth(data, records) == {}
    write_labels(tmp_path / "masks" / "b.png", np.zeros((12, 20), dtype=np.uint8))
    assert folder.truth(data, records) == {"b": tmp_path / "masks" / "b.png"}


# VOC


def devkit(root: Path, masks: bool = True, annotations: bool = False) -> VocData:
    lists = root / "ImageSets" / "Segmentation"
    put_text(lists / "train_aug.txt", "2007_1\n2007_2\n")
    put_text(lists / "val.txt", "2007_3\n")
    seen = {"2007_1": [15, 8], "2007_2": [], "2007_3": [20]}
    for image_id, labels in seen.items():
        put_image(root / "JPEGImages" / f"{image_id}.jpg")
        mask = np.zeros((12, 20), dtype=np.uint8)
        mask[0] = 255
        for row, label in enumerate(labels, start=1):
            mask[row] = label
        if masks:
            write_labels(root / "SegmentationClassAug" / f"{image_id}.png", mask)
        if annotations:
            # a part's name is no object's
            objects = "".join(
                f"<object><name>{voc.CLASSES[label - 1]}</name><part><name>head</name></part></object>"
                for label in [*labels, *labels]
            )
            put_text(root / "Annotations" / f"{image_id}.xml", f"<annotation>{objects}</annotation>")
    return VocData(kind="voc", root=root)


def test_a_voc_tree_with_tags_from_masks(tmp_path: Path) -> None:
    data = devkit(tmp_path)
    classes, records = voc.index(data)
    assert classes == list(voc.CLASSES) and len(classes) == 20 and classes[14] == "person"
    assert [(r.id, r.split, r.tags) for r in records] == [
        ("2007_1", "train", ("cat", "person")),
        ("2007_2", "train", ()),
        ("2007_3", "val", ("tvmonitor",)),
    ]
    assert records[0].path == tmp_path / "JPEGImages" / "2007_1.jpg"
    assert (records[0].width, records[0].height) == (20, 12)
    assert voc.truth(data, records)["2007_3"] == tmp_path / "SegmentationClassAug" / "2007_3.png"


def test_a_voc_tree_with_tags_from_annotations_needs_no_mask(tmp_path: Path) -> None:
    data = devkit(tmp_path, masks=False, annotations=True).model_copy(update={"tags": "annotations"})
    assert [record.tags for record in voc.index(data)[1]] == [("cat", "person"), (), ("tvmonitor",)]


def test_faults_of_a_voc_tree_are_named(tmp_path: Path) -> None:
    with refused(tmp_path, "no JPEGImages", "set data.root"):
        voc.index(VocData(kind="voc", root=tmp_path))
    data = devkit(tmp_path)
    with refused(tmp_path / "ImageSets" / "Segmentation" / "trainval.txt", "no such list", "data.train"):
        voc.index(data.model_copy(update={"train": "trainval"}))
    with refused(tmp_path / "Annotations" / "2007_1.xml", "no such annotation", "set data.tags to masks"):
        voc.index(data.model_copy(update={"tags": "annotations"}))
    put_text(tmp_path / "Annotations" / "2007_1.xml", "<annotation><object>")
    with refused(tmp_path / "Annotations" / "2007_1.xml", "not a readable annotation", "replace the file"):
        voc.index(data.model_copy(update={"tags": "annotations"}))
    (tmp_path / "SegmentationClassAug" / "2007_2.png").unlink()
    with refused(tmp_path / "SegmentationClassAug" / "2007_2.png", "no such mask"):
        voc.index(data)
    (tmp_path / "JPEGImages" / "2007_1.jpg").unlink()
    with refused(tmp_path / "JPEGImages" / "2007_1.jpg", "no such image"):
        voc.index(data)


@pytest.mark.parametrize(
    ("lists", "where"),
    [
        ({"val": "2007_3\n2007_1\n"}, "train_aug and val"),
        ({"train_aug": "2007_1\n2007_2\n2007_1\n"}, "train_aug twice"),
        ({"test": "2007_3"}, "val and test"),
    ],
)
def test_an_image_listed_twice_is_refused(tmp_path: Path, lists: dict[str, str], where: str) -> None:
    data = devkit(tmp_path)
    for name, text in lists.items():
        put_text(tmp_path / "ImageSets" / "Segmentation" / f"{name}.txt", text)
    with refused(tmp_path, f"is in {where}; list it once"):
        voc.index(data)


def test_a_mask_with_a_label_beyond_the_classes_is_named(tmp_path: Path) -> None:
    data = devkit(tmp_path)
    path = tmp_path / "SegmentationClassAug" / "2007_1.png"
    write_labels(path, np.full((12, 20), 21, dtype=np.uint8))
    with refused(path, "21"):
        voc.index(data)


def test_the_mini_voc_tree(voc_mini: Path) -> None:
    data = VocData(kind="voc", root=voc_mini)
    classes, records = voc.index(data)
    splits = [record.split for record in records]
    assert len(classes) == 20 and splits == ["train"] * 128 + ["val"] * 14
    assert all(record.tags and set(record.tags) <= set(classes) for record in records)
    for record in records[::20]:
        mask = read_labels(voc.truth(data, records)[record.id])
        assert mask.shape == (record.height, record.width)
        assert labels_of(record.tags, ["background", *classes])[1:] == sorted({*np.unique(mask).tolist()} - {0, 255})
