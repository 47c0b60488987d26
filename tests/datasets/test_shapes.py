"""The made world: the same for ever, and its tags are those of its masks."""

import csv
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tagseg.datasets.shapes import CLASSES, TARGETS, recognition_image, scene, write_scenes
from tagseg.networks.backbones.vgg import SHAPES_BLOCKS, VggTrunk


def test_classes() -> None:
    assert len(set(CLASSES)) == 14
    assert CLASSES[:8] == TARGETS


def test_recognition_images() -> None:
    labels = []
    for index in range(60):
        image, label = recognition_image(3, index)
        again, same = recognition_image(3, index)
        assert image.shape == (48, 48, 3)
        assert image.dtype == np.uint8
        assert label == same
        np.testing.assert_array_equal(image, again)
        labels.append(label)
    assert min(labels) >= 0
    assert max(labels) < 14
    assert len(set(labels)) > 8
    assert not np.array_equal(recognition_image(3, 0)[0], recognition_image(4, 0)[0])


def test_scenes_repeat_and_differ() -> None:
    image, mask = scene(5, 7)
    again, same = scene(5, 7)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(mask, same)
    assert image.shape == (80, 80, 3)
    assert mask.shape == (80, 80)
    assert image.dtype == mask.dtype == np.uint8
    assert not np.array_equal(image, scene(5, 8)[0])
    assert not np.array_equal(image, scene(6, 7)[0])


def test_scenes_are_as_described() -> None:
    masks = [scene(0, index)[1] for index in range(200)]
    tags = [set(np.unique(mask)) - {0} for mask in masks]
    assert all(1 <= len(present) <= 3 for present in tags)
    assert set.union(*tags) == set(range(1, 9))
    assert 1.5 < np.mean([len(present) for present in tags]) < 1.9
    assert 0.12 < np.mean([(mask > 0).mean() for mask in masks]) < 0.2


@pytest.mark.parametrize("size", [48, 97])
def test_other_sizes(size: int) -> None:
    image, mask = scene(0, 0, size)
    assert image.shape == (size, size, 3)
    assert mask.shape == (size, size)
    assert recognition_image(0, 0, size)[0].shape == (size, size, 3)


def write(folder: Path, train: int, val: int, seed: int = 1) -> list[dict[str, str]]:
    images, masks, tags = folder / "images", folder / "masks", folder / "tags.csv"
    write_scenes(images, masks, tags, seed=seed, train=train, val=val)
    with tags.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_written_tags_agree_with_masks(tmp_path: Path) -> None:
    rows = write(tmp_path, train=6, val=3)
    assert [row["image"] for row in rows[5:7]] == ["train_00005", "val_00000"]
    assert [row["split"] for row in rows] == ["train"] * 6 + ["val"] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "masks", "tags.csv"]
    for row in rows:
        mask = np.asarray(Image.open(tmp_path / "masks" / f"{row['image']}.png"))
        assert mask.shape == (80, 80)
        assert row["tags"].split(";") == [TARGETS[value - 1] for value in np.unique(mask) if value]
    picture, mask = scene(1, 4)
    written = Image.open(tmp_path / "images" / "train_00004.png")
    assert written.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(written), picture)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "masks" / "train_00004.png")), mask)


def test_writing_again_replaces(tmp_path: Path) -> None:
    first = write(tmp_path, train=4, val=2)
    second = write(tmp_path, train=2, val=2)
    assert second == first[:2] + first[4:]
    assert len(list((tmp_path / "images").iterdir())) == len(list((tmp_path / "masks").iterdir())) == 4


def test_the_shipped_network_knows_this_world() -> None:
    with as_file(files("tagseg") / "resources" / "shapes_network.pt") as path:
        network = torch.load(path, weights_only=True)
    assert tuple(network["classes"]) == CLASSES
    state = {name: value.float() for name, value in network["state_dict"].items()}
    weight, bias = state.pop("classifier.weight"), state.pop("classifier.bias")
    trunk = VggTrunk(SHAPES_BLOCKS).eval()
    trunk.load_state_dict(state)
    drawn = [recognition_image(9, index) for index in range(100)]
    images = torch.from_numpy(np.stack([image for image, _ in drawn])).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(network[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        scores = trunk((images - mean) / std).features.mean(dim=(2, 3)) @ weight.T + bias
    right = scores.argmax(dim=1) == torch.tensor([label for _, label in drawn])
    assert right.float().mean() > 0.95
