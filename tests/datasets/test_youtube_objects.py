"""YouTube-Objects in the published layout and in one made by hand: even sampling, shots kept apart, truth."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trees import put_image, put_text, refused

from tagseg.config.data import YoutubeObjectsData
from tagseg.datasets import youtube_objects as yto
from tagseg.datasets.index import read_ground_truth
from tagseg.images.files import read_labels, write_labels
from tagseg.stages import ground_truth, index, render_truth

SIZE = (48, 36)  # width, height
# frames of each shot of each video; the last shot of the second video is labelled
SHOTS = {"0001": {"001": 12}, "0002": {"001": 4, "002": 6}, "0003": {"001": 2}}
LABELLED = ("0002", "002")


def grow(root: Path, published: bool) -> YoutubeObjectsData:
    """Ten classes alike, in either form; labelled are frames 1 and 4 of one shot."""
    data, shots, labels = ("data", "shots", "labels") if published else ("", "", "")
    pattern = "frame{:04d}.jpg" if published else "{:05d}.jpg"
    for name in yto.CLASSES:
        for video, counts in SHOTS.items():
            for shot, count in counts.items():
                for number in range(1, count + 1):
                    put_image(root / "v1" / name / data / video / shots / shot / pattern.format(number), *SIZE)
        for number in (1, 4):
            folder = root / "masks" / name / data / LABELLED[0] / shots / LABELLED[1] / labels
            mask = np.zeros((SIZE[1], SIZE[0]), dtype=np.uint8)
            mask[:16, 8:24] = 255
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(folder / (f"{number:05d}.jpg" if published else f"{number:05d}.png"))
    return YoutubeObjectsData(root=root / "v1", masks=str(root / "masks"), per_class=10)


@pytest.fixture(params=[True, False], ids=["published", "by hand"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> YoutubeObjectsData:
    return grow(tmp_path, request.param)


def test_frames_are_spread_evenly_over_the_videos(tree: YoutubeObjectsData) -> None:
    classes, records = yto.index(tree)
    assert classes == list(yto.CLASSES) and len(classes) == 10
    train = [record for record in records if record.split == "train"]
    assert len(train) == 100 and all(record.tags == (record.id.split("_")[0],) for record in records)
    boats = [record.path for record in train if record.tags == ("boat",)]
    per_video = {video: [p for p in boats if video in p.parts] for video in SHOTS}
    # two of the video that has but two, four of each other
    assert {video: len(frames) for video, frames in per_video.items()} == {"0001": 4, "0002": 4, "0003": 2}
    assert [int(p.stem[-2:]) for p in per_video["0001"]] == [2, 5, 8, 11]
    assert (train[0].width, train[0].height) == SIZE
    assert yto.index(tree)[1] == records


def test_labelled_shots_are_for_evaluation_alone(tree: YoutubeObjectsData) -> None:
    records = yto.index(tree.model_copy(update={"per_class": 1000}))[1]
    shots = {split: {r.path.parent for r in records if r.split == split} for split in ("train", "val")}
    assert not shots["train"] & shots["val"] and len(shots["val"]) == 10
    assert sum(record.split == "train" for record in records) == 10 * (12 + 4 + 2)
    val = [record for record in records if record.split == "val"]
    assert [record.id for record in val[:2]] == ["aeroplane_0002_002_00001", "aeroplane_0002_002_00004"]
    assert [int(record.path.stem[-4:]) for record in val[:2]] == [1, 4]
    # without masks nothing is kept out, and nothing evaluated
    alone = tree.model_copy(update={"masks": "", "per_class": 1000})
    assert {record.split for record in yto.index(alone)[1]} == {"train"} and len(yto.index(alone)[1]) == 240
    assert yto.has_truth(tree) and not yto.has_truth(alone)


def test_truth_is_the_class_s_label_where_the_mask_is(tree: YoutubeObjectsData, tmp_path: Path) -> None:
    tags, table, drawn = tmp_path / "tags.csv", tmp_path / "truth.csv", tmp_path / "drawn"
    index.run(tree, tags, tmp_path / "classes.txt")
    render_truth.run(tree, tags, drawn)
    ground_truth.run(tree, tags, table, rendered=drawn)
    named = read_ground_truth(table)
    assert len(named) == 20
    mask = read_labels(named["cow_0002_002_00004"])
    wanted = np.zeros((SIZE[1], SIZE[0]), dtype=np.uint8)
    wanted[:16, 8:24] = 6
    np.testing.assert_array_equal(mask, wanted)


def test_photographs_beside_the_labels_come_first(tmp_path: Path) -> None:
    """The published masks bring photographs of their own, half as large as the frames of the first version."""
    data = grow(tmp_path, published=True)
    shot = tmp_path / "masks" / "cat" / "data" / "0002" / "shots" / "002"
    for number in (1, 4):
        put_image(shot / "images" / f"{number:05d}.jpg", 96, 72)
    records = yto.index(data)[1]
    cat = next(record for record in records if record.id == "cat_0002_002_00004")
    assert cat.path == shot / "images" / "00004.jpg"
    wanted = np.zeros((72, 96), dtype=np.uint8)
    wanted[:32, 16:48] = 5
    np.testing.assert_array_equal(dict(yto.render(data, records))["cat_0002_002_00004"], wanted)


@pytest.mark.parametrize(
    ("mode", "values", "wanted"),
    [
        ("P", [0, 1, 20, 255], [0, 1, 1, 255]),
        ("L", [0, 1, 20, 255], [0, 1, 1, 1]),
        ("1", [0, 0, 255, 255], [0, 0, 1, 1]),
        ("RGB", [0, 20, 200, 255], [0, 0, 1, 1]),
    ],
)
def test_what_is_the_object_in_a_mask(tmp_path: Path, mode: str, values: list[int], wanted: list[int]) -> None:
    data = grow(tmp_path, published=False)
    path = tmp_path / "masks" / "aeroplane" / "0002" / "002" / "00001.png"
    mask = np.repeat(np.array(values, dtype=np.uint8), 12)[None].repeat(36, axis=0)
    if mode == "P":
        write_labels(path, mask)
    else:
        Image.fromarray(mask).convert(mode).save(path)
    found = dict(yto.render(data, yto.index(data)[1]))["aeroplane_0002_002_00001"]
    np.testing.assert_array_equal(found, np.repeat(np.array(wanted, dtype=np.uint8), 12)[None].repeat(36, axis=0))


def test_quotas() -> None:
    assert yto._spread(10, {"a": 100, "b": 1, "c": 100}) == {"a": 4, "b": 1, "c": 5}
    assert yto._spread(10, {"a": 3, "b": 1}) == {"a": 3, "b": 1}
    assert yto._spread(2, {"a": 5, "b": 5, "c": 5}) == {"a": 0, "b": 1, "c": 1}
    many = {f"{i:02d}": 37 * (i + 1) for i in range(20)}
    shares = yto._spread(2200, many)
    assert sum(shares.values()) == 2200 and list(shares) == list(many)


def test_a_video_that_is_a_file_is_named_with_what_to_do(tree: YoutubeObjectsData) -> None:
    base = next(path.parent for path in tree.root.glob("dog/**/0001"))
    path = put_text(base / "0009.avi", "video")
    with refused(path, "a video; extract its frames first", f"ffmpeg -i {path} ", f" {base}/0009/001/%05d.jpg"):
        yto.index(tree)
    put_image(base / "0009" / "001" / "00001.jpg", *SIZE)
    assert any("0009" in record.path.parts for record in yto.index(tree)[1])


def test_faults_of_the_tree_are_named(tmp_path: Path) -> None:
    data = grow(tmp_path, published=False)
    path = put_image(data.root / "car" / "0001" / "00001.jpg", *SIZE)
    with refused(path, "a frame outside of a shot", "0001"):
        yto.index(data)
    path.unlink()
    for frame in (data.root / "cow").rglob("*.jpg"):
        if (frame.parts[-3], frame.parts[-2]) != LABELLED:
            frame.unlink()
    with refused(data.root / "cow", "no frame to train on", "VIDEO/SHOT/NUMBER.jpg"):
        yto.index(data)
    (data.root / "cow").rename(data.root / "cattle")
    with refused(data.root / "cow", "no such folder", "aeroplane, bird"):
        yto.index(data.model_copy(update={"masks": ""}))


def test_faults_of_the_masks_are_named(tmp_path: Path) -> None:
    data = grow(tmp_path, published=False)
    shot = Path(data.masks) / "horse" / "0002" / "002"
    path = put_image(shot / "00004.png", 48, 12, "L")
    records = yto.index(data)[1]
    with refused(path, "48 x 12 pixels, the photograph 48 x 36", "use its own mask"):
        list(yto.render(data, records))
    put_text(path, "no picture")
    with refused(path, "not a readable mask", "replace it"):
        list(yto.render(data, records))
    path.rename(shot / "00009.png")
    with refused(shot / "00009.png", "no photograph of its number", str(data.root / "horse" / "0002" / "002")):
        yto.index(data)
    (shot / "00009.png").rename(shot / "mask.png")
    with refused(shot / "mask.png", "has no number", "such as 00012"):
        yto.index(data)
    with refused(tmp_path / "v2" / "aeroplane", "no such folder", "data.masks"):
        yto.index(data.model_copy(update={"masks": str(tmp_path / "v2")}))
    for name in yto.CLASSES:
        (tmp_path / "v2" / name).mkdir(parents=True)
    with refused(tmp_path / "v2", "no mask in it", "set masks to ''"):
        yto.index(data.model_copy(update={"masks": str(tmp_path / "v2")}))
