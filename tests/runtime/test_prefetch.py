"""Photographs on their way to a network: in order, ahead of it, in batches of one size, and no result depends on it."""

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tagseg.artifacts.shards import Shard
from tagseg.config.networks import (
    BackboneSettings,
    FeatureDisk,
    InferenceMachine,
    LocalizationSettings,
    SegmentationSettings,
    TrainingMachine,
    ViewSettings,
)
from tagseg.datasets.index import ImageRecord, read_index, write_classes, write_index
from tagseg.errors import TagsegError
from tagseg.runtime.prefetch import copy_to_cpu, delay_by_one, group_by_size, image_batches, prefetch, shuffled
from tagseg.runtime.restore import load_localization
from tagseg.stages import cams, extract, prepare_trunk, score
from tagseg.stages import train_localization as localization
from tagseg.stages import train_segmentation as train

SIZES = [(50, 40), (40, 50), (50, 40), (50, 40), (64, 40)]
LOOKS = ViewSettings(scales=[0.9, 1.0], mirror=True, stride=8)
NETWORK = BackboneSettings(backbone="shapes", weights="default")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five photographs of three sizes, their index, a localization network and a score network."""
    path = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    records = []
    for i, (width, height) in enumerate(SIZES):
        picture = Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))
        picture.save(path / f"{i}.png")
        records.append(ImageRecord(str(i), "train", path / f"{i}.png", width, height, (("cat", "dog")[i % 2],)))
    write_index(path / "tags.csv", records)
    write_classes(path / "classes.txt", ["cat", "dog"])
    learn(path, "one", TrainingMachine())
    return path


def learn(path: Path, name: str, machine: TrainingMachine) -> None:
    """Both kinds of training, three steps each."""
    common = {"checkpoints": None, "seed": 0, "threads": 1 + machine.loaders}
    settings = LocalizationSettings(iterations=3, batch=2, hidden=4, size=48, learning_rate=0.01)
    files = path / f"{name}-localization.pt", path / f"{name}-localization.csv"
    localization.run(path / "tags.csv", path / "classes.txt", *files, NETWORK, settings, machine, **common)
    score = SegmentationSettings(iterations=3, batch=2, learning_rate=0.01)
    files = path / f"{name}-segmentation.pt", path / f"{name}-segmentation.csv"
    train.run(
        path / "tags.csv", path / "classes.txt", [], *files, NETWORK, score, machine, mask="none", fov="small", **common
    )


def records(folder: Path) -> list[ImageRecord]:
    return read_index(folder / "tags.csv")


def test_groups_by_size_keep_every_image_and_mix_no_sizes(folder: Path) -> None:
    groups = group_by_size(records(folder), 2)
    assert [[record.id for record in group] for group in groups] == [["0", "2"], ["3"], ["1"], ["4"]]
    assert [len(group) for group in group_by_size(records(folder), 1)] == [1] * 5


@pytest.mark.parametrize("loaders", [0, 2])
def test_batches_hold_the_images_of_their_records(folder: Path, loaders: int) -> None:
    seen = []
    for group, images in image_batches(records(folder), 3, loaders):
        for record, image in zip(group, images, strict=True):
            wanted = np.asarray(Image.open(record.path)).transpose(2, 0, 1)
            np.testing.assert_array_equal(image.numpy(), wanted)
            seen.append(record.id)
    assert sorted(seen) == list("01234")


@pytest.mark.parametrize("loaders", [0, 1, 3])
def test_results_come_in_the_order_of_the_jobs(loaders: int) -> None:
    def work(job: int) -> int:
        time.sleep(0.01 * (job % 3))
        return 10 * job

    assert list(prefetch(range(12), work, loaders)) == [10 * job for job in range(12)]


def test_loaders_work_ahead_and_no_further_than_two_each() -> None:
    begun: list[int] = []

    def work(job: int) -> int:
        begun.append(job)
        return job

    results = prefetch(itertools.count(), work, 2)
    assert next(results) == 0
    time.sleep(0.2)
    assert begun == list(range(5))
    results.close()


def test_an_endless_order_can_be_left(folder: Path) -> None:
    results = prefetch(itertools.count(), lambda job: job, 2)
    assert list(itertools.islice(results, 7)) == list(range(7))
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader") and thread.is_alive()]


@pytest.mark.parametrize("loaders", [0, 2])
def test_a_fault_of_a_loader_is_that_of_its_reader(loaders: int) -> None:
    def work(job: int) -> int:
        if job == 3:
            raise TagsegError("photo.jpg: not a readable image")
        return job

    got = []
    with pytest.raises(TagsegError, match=r"photo\.jpg"):
        for result in prefetch(range(9), work, loaders):
            got.append(result)
    assert got == [0, 1, 2]


def test_delay_by_one_starts_the_next_before_it_gives_the_last() -> None:
    begun: list[int] = []

    def jobs() -> Iterator[int]:
        for job in range(3):
            begun.append(job)
            yield job

    given = [(result, len(begun)) for result in delay_by_one(jobs())]
    assert given == [(0, 2), (1, 3), (2, 3)]
    assert list(delay_by_one([])) == []


def test_copies_on_the_cpu_are_equal() -> None:
    values = torch.arange(6.0).view(2, 3)
    np.testing.assert_array_equal(copy_to_cpu({"a": values})()["a"], values.numpy())


def test_an_order_can_be_taken_up_at_any_step() -> None:
    whole = list(itertools.islice(shuffled(7, 3, 5, flip=True), 20))
    for first in (0, 1, 6, 13):
        assert list(itertools.islice(shuffled(7, 3, 5, flip=True, first=first), 20 - first)) == whole[first:]
    epoch = [index for batch in whole[:7] for index, _ in batch]
    assert sorted(epoch[:7]) == sorted(epoch[7:14]) == list(range(7))
    assert {mirror for batch in whole for _, mirror in batch} == {True, False}


def run_all(folder: Path, target: Path, machine: InferenceMachine) -> dict[str, Path]:
    """The three stages that run a trained network; the files they wrote."""
    target.mkdir()
    tags, rest = folder / "tags.csv", {"shard": 0, "shards": 1, "threads": 1 + machine.loaders}
    files = {name: target / f"{name}.h5" for name in ("activations", "cams", "scores")}
    trunk = target / "trunk.h5"
    prepare_trunk.run(tags, trunk, NETWORK, LOOKS, FeatureDisk(), machine)
    extract.run(tags, trunk, files["activations"], machine, **rest)
    cams.run(tags, folder / "one-localization.pt", files["cams"], LOOKS, machine, **rest)
    score.run(folder / "one-segmentation.pt", tags, files["scores"], machine, split="train", **rest)
    return files


ARRAYS = {"activations": ("conv4-0", "conv5-1"), "cams": ("cams", "labels"), "scores": ("maps", "labels")}


def test_images_at_once_give_what_single_images_give(folder: Path, tmp_path: Path) -> None:
    single = run_all(folder, tmp_path / "single", InferenceMachine())
    many = run_all(folder, tmp_path / "many", InferenceMachine(images_at_once=3))
    for kind, names in ARRAYS.items():
        with Shard(single[kind], kind) as one, Shard(many[kind], kind) as other:
            for record, name in itertools.product(records(folder), names):
                values = one.get(record.id, name)
                assert values.size and values.shape == other.get(record.id, name).shape
                np.testing.assert_allclose(values, other.get(record.id, name), rtol=2e-3, atol=2e-3)


def test_loaders_change_no_byte_of_a_result(folder: Path, tmp_path: Path) -> None:
    alone = run_all(folder, tmp_path / "alone", InferenceMachine(images_at_once=2))
    helped = run_all(folder, tmp_path / "helped", InferenceMachine(images_at_once=2, loaders=2))
    assert [path.read_bytes() for path in alone.values()] == [path.read_bytes() for path in helped.values()]


@pytest.mark.parametrize("loaders", [0, 2])
def test_the_head_learns_each_image_s_own_tags(folder: Path, loaders: int) -> None:
    """Photographs of one size are no neighbours in the index: features and tags must not be shifted by that."""
    settings = LocalizationSettings(mode="head", iterations=200, weight_decay=1e-4, rows="trained", stride=16)
    files = folder / "tags.csv", folder / "classes.txt", folder / f"head-{loaders}.pt", folder / "head.csv"
    machine = TrainingMachine(loaders=loaders)
    trunk, features = folder / "trunk.h5", folder / "features.h5"
    running = InferenceMachine(loaders=loaders)
    prepare_trunk.run(files[0], trunk, NETWORK, ViewSettings(scales=[1]), FeatureDisk(), running)
    extract.run(files[0], trunk, folder / "activations.h5", running, features=features, threads=1 + loaders)
    localization.run(
        *files, NETWORK, settings, machine, features=[features], checkpoints=None, seed=0, threads=1 + loaders
    )
    network, names = load_localization(files[2])
    with torch.no_grad():
        for record in records(folder):
            (_, image), *_ = image_batches([record], 1, 0)
            assert names[int(network(image)[0].argmax())] == record.tags[0]


def test_loaders_change_no_byte_of_a_training(folder: Path) -> None:
    learn(folder, "helped", TrainingMachine(loaders=2))
    for name in ("localization.pt", "localization.csv", "segmentation.pt", "segmentation.csv"):
        assert (folder / f"one-{name}").read_bytes() == (folder / f"helped-{name}").read_bytes(), name
