"""VOC with SBD and with a ready SegmentationClassAug: the derived list, tags from three places, masks of both kinds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat
from trees import put_image, put_text, refused

from tagseg.config.data import VocData
from tagseg.config.parsing import parse_config
from tagseg.datasets import voc
from tagseg.datasets.index import read_ground_truth, read_index
from tagseg.datasets.layouts import LAYOUTS
from tagseg.images.files import read_labels, write_labels
from tagseg.stages import ground_truth, index, render_truth

SIZE = (33, 40)  # height, width
# label of each image's one object; a to c are VOC's own, p to r SBD's alone, t is the test server's
LABELS = {"a": 15, "b": 8, "c": 20, "p": 1, "q": 2, "r": 3}
VOC_TRAIN, VOC_VAL, SBD_TRAIN, SBD_VAL = ["a", "b"], ["c"], ["r", "a", "c"], ["p", "q"]


def mask_of(image_id: str) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[3:9, 5:30] = LABELS[image_id]
    mask[9] = 255 if image_id in "abc" else 0  # SBD knows no ignored pixels
    return mask


def put_mat(path: Path, mask: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    boundaries = np.empty(20, dtype=object)
    boundaries[:] = [np.zeros((2, 2), dtype=np.uint8)] * 20
    savemat(path, {"GTcls": {"Boundaries": boundaries, "Segmentation": mask, "CategoriesPresent": np.uint8(1)}})


def put_annotation(root: Path, image_id: str) -> None:
    name = voc.CLASSES[LABELS[image_id] - 1]
    put_text(root / "Annotations" / f"{image_id}.xml", f"<annotation><object><name>{name}</name></object></annotation>")


@pytest.fixture
def devkit(tmp_path: Path) -> Path:
    """As unpacked: PNG masks of VOC's own images, no list train_aug, photographs and annotations of all."""
    root = tmp_path / "VOCdevkit" / "VOC2012"
    lists = root / "ImageSets" / "Segmentation"
    put_text(lists / "train.txt", "\n".join(VOC_TRAIN) + "\n")
    put_text(lists / "val.txt", "\n".join(VOC_VAL) + "\n")
    for image_id in LABELS:
        put_image(root / "JPEGImages" / f"{image_id}.jpg", SIZE[1], SIZE[0])
        put_annotation(root, image_id)
    for image_id in (*VOC_TRAIN, *VOC_VAL):
        write_labels(root / "SegmentationClass" / f"{image_id}.png", mask_of(image_id))
    return root


@pytest.fixture
def with_sbd(devkit: Path) -> VocData:
    """Beside it SBD, which has some of VOC's images, too."""
    folder = devkit.parents[1] / "benchmark_RELEASE" / "dataset"
    put_text(folder / "train.txt", "\n".join(SBD_TRAIN) + "\n")
    put_text(folder / "val.txt", "\n".join(SBD_VAL) + "\n")
    for image_id in (*SBD_TRAIN, *SBD_VAL):
        put_mat(folder / "cls" / f"{image_id}.mat", mask_of(image_id) * (mask_of(image_id) < 255))
        put_image(folder / "img" / f"{image_id}.jpg", SIZE[1], SIZE[0])
    return VocData(root=devkit, masks="SegmentationClass", sbd=str(folder))


@pytest.fixture
def ready(devkit: Path) -> VocData:
    """A ready folder of PNG masks of all images, VOC's val among them, in SBD's place."""
    for image_id in LABELS:
        write_labels(devkit / "SegmentationClassAug" / f"{image_id}.png", mask_of(image_id))
    return VocData(root=devkit)


WANTED = [
    ("a", "train", ("person",)),
    ("b", "train", ("cat",)),
    ("p", "train", ("aeroplane",)),
    ("q", "train", ("bicycle",)),
    ("r", "train", ("bird",)),
    ("c", "val", ("tvmonitor",)),
]


@pytest.mark.parametrize("tree", ["with_sbd", "ready"])
@pytest.mark.parametrize("tags", ["masks", "annotations"])
def test_the_training_list_is_derived(tree: str, tags: Any, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue(tree).model_copy(update={"tags": tags})
    assert [(r.id, r.split, r.tags) for r in voc.index(data)[1]] == WANTED


def test_a_list_that_is_there_is_read(with_sbd: VocData) -> None:
    put_text(with_sbd.root / "ImageSets" / "Segmentation" / "train_aug.txt", "q\nb\n")
    assert [record.id for record in voc.index(with_sbd)[1]] == ["q", "b", "c"]


def test_no_image_of_val_is_for_training_whatever_is_evaluated(with_sbd: VocData) -> None:
    put_text(with_sbd.root / "ImageSets" / "Segmentation" / "mine.txt", "q\n")
    records = voc.index(with_sbd.model_copy(update={"val": "mine"}))[1]
    assert [(r.id, r.split) for r in records] == [
        ("a", "train"), ("b", "train"), ("p", "train"), ("r", "train"), ("q", "val")
    ]  # fmt: skip


def test_sources_of_the_derived_list(with_sbd: VocData, ready: VocData) -> None:
    found = [path.relative_to(with_sbd.root.parents[1]).as_posix() for path in voc.sources(with_sbd) if path.exists()]
    lists = [f"VOCdevkit/VOC2012/ImageSets/Segmentation/{name}.txt" for name in ("val", "train")]
    assert found == [*lists, "benchmark_RELEASE/dataset/train.txt", "benchmark_RELEASE/dataset/val.txt"]
    assert [path.name for path in voc.sources(ready) if path.exists()] == ["val.txt", "train.txt"]


def test_tags_from_a_table(with_sbd: VocData, tmp_path: Path) -> None:
    rows = ["image,tags", "a.jpg,person; cat", "b,", "p,aeroplane", "q,bicycle", "r,bird", "c,tvmonitor", "z,dog"]
    table = put_text(tmp_path / "mine.csv", "\n".join(rows))
    data = VocData(**{**with_sbd.model_dump(), "tags": "table", "tags_table": str(table)})
    assert table in voc.sources(data)
    tags = {record.id: record.tags for record in voc.index(data)[1]}
    assert tags["a"] == ("cat", "person") and tags["b"] == () and "z" not in tags
    for line, parts in {
        "a,person\na,cat": [":3", "image 'a' was named before"],
        "a,plane": [":2", "tag 'plane' is not among the classes"],
        "b,cat": ["no line for image 'a'", "add one"],
    }.items():
        put_text(table, "image,tags\n" + line)
        with refused(table, *parts):
            voc.index(data)
    table.unlink()
    with refused(table, "no such file", "set data.tags_table"):
        voc.index(data)


@pytest.mark.parametrize("keys", [{"tags": "table"}, {"tags_table": "t.csv"}])
def test_a_table_and_its_key_go_together(keys: dict[str, str]) -> None:
    with refused("config: datasets.mine.data: tags: table and tags_table go together"):
        parse_config({"default": "mine", "datasets": {"mine": {"data": {"kind": "voc", "root": "r", **keys}}}})


def test_test_images_have_neither_tags_nor_truth(with_sbd: VocData) -> None:
    put_text(with_sbd.root / "ImageSets" / "Segmentation" / "test.txt", "t\n")
    with refused(with_sbd.root / "JPEGImages" / "t.jpg", "no such image"):
        voc.index(with_sbd)
    put_image(with_sbd.root / "JPEGImages" / "t.jpg", SIZE[1], SIZE[0])
    records = voc.index(with_sbd)[1]
    assert [(r.id, r.split, r.tags) for r in records if r.split == "test"] == [("t", "test", ())]
    assert "t" not in voc.truth(with_sbd, records) and "t" not in dict(voc.render(with_sbd, records))
    assert voc.index(with_sbd.model_copy(update={"test": ""}))[1] == records[:-1]


@pytest.mark.parametrize("tree", ["with_sbd", "ready"])
def test_truth_of_every_image_is_a_png(tree: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    data = request.getfixturevalue(tree)
    tags, table, drawn = tmp_path / "tags.csv", tmp_path / "truth.csv", tmp_path / "drawn"
    index.run(data, tags, tmp_path / "classes.txt")
    assert LAYOUTS["voc"].rendered(data) == (tree == "with_sbd")
    if tree == "with_sbd":
        render_truth.run(data, tags, drawn)
        assert sorted(path.stem for path in drawn.iterdir()) == ["p", "q", "r"]  # VOC's own are there already
    ground_truth.run(data, tags, table, rendered=drawn if tree == "with_sbd" else None)
    named = read_ground_truth(table)
    assert named.keys() == {record.id for record in read_index(tags)} == set(LABELS)
    for image_id, path in named.items():
        np.testing.assert_array_equal(read_labels(path), mask_of(image_id))


def test_a_devkit_alone_has_no_larger_list(devkit: Path) -> None:
    path = devkit / "ImageSets" / "Segmentation" / "train_aug.txt"
    for masks in ("SegmentationClass", "SegmentationClassAug"):
        with refused(path, "nothing to derive it from", "set data.sbd to SBD's folder", "data.train to train"):
            voc.index(VocData(root=devkit, masks=masks))
    records = voc.index(VocData(root=devkit, masks="SegmentationClass", train="train"))[1]
    assert [record.id for record in records] == ["a", "b", "c"]
    with refused(path.with_name("trainaug.txt"), "no such list"):  # only train_aug is derived
        voc.index(VocData(root=devkit, train="trainaug"))


def test_faults_of_sbd_are_named(with_sbd: VocData) -> None:
    folder = Path(with_sbd.sbd)
    path = folder / "cls" / "p.mat"
    put_mat(path, np.full(SIZE, 21, dtype=np.uint8))
    with refused(path, "label 21, but there are 20 classes"):
        voc.index(with_sbd)
    put_mat(path, np.zeros(SIZE))
    with refused(path, "a mask is a map of bytes, this is float64"):
        voc.index(with_sbd)
    savemat(path, {"GTinst": 3})
    with refused(path, "no GTcls with Segmentation", "use a file of SBD's folder cls"):
        voc.index(with_sbd)
    put_text(path, "no such file")
    with refused(path, "not a readable .mat file", "replace it"):
        voc.index(with_sbd)
    path.unlink()
    with refused(path, "no such mask", "take the image out of the list"):
        voc.index(with_sbd)
    (folder / "val.txt").unlink()
    with refused(folder / "val.txt", "set data.sbd to SBD's folder benchmark_RELEASE/dataset"):
        voc.index(with_sbd)


def test_a_drawn_mask_has_its_photograph_s_size(with_sbd: VocData, tmp_path: Path) -> None:
    index.run(with_sbd, tmp_path / "tags.csv", tmp_path / "classes.txt")
    put_mat(Path(with_sbd.sbd) / "cls" / "q.mat", np.zeros((12, 40), dtype=np.uint8))
    with refused(with_sbd.root / "JPEGImages" / "q.jpg", "40 x 33 pixels, its truth 40 x 12"):
        render_truth.run(with_sbd, tmp_path / "tags.csv", tmp_path / "masks")
