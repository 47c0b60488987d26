"""A weight file of the user's that is replaced in its place: plans, checkpoints and half-made shards notice."""

import os
import shutil
from importlib import resources
from pathlib import Path

import pytest
import torch
from PIL import Image
from snakemake_runs import REPOSITORY, overlay, plan, prepare, snakemake, succeed

from tagseg.artifacts.shards import Shard
from tagseg.config.networks import BackboneSettings
from tagseg.errors import TagsegError
from tagseg.networks.backbones import load_backbone
from tagseg.networks.sources import weight_file
from tagseg.runtime.stamps import network_facts

SMALLEST = REPOSITORY / "tests" / "configs" / "smallest.yaml"
SHIPPED = Path(str(resources.files("tagseg") / "resources" / "shapes_network.pt"))


def other_weights(path: Path) -> None:
    """Other numbers under the same names, in a file of the same size, older than all that was made."""
    bundle = torch.load(path, weights_only=True)
    for value in bundle["state_dict"].values():
        value *= 1.01
    torch.save(bundle, path)
    os.utime(path, (1e9, 1e9))


@pytest.mark.parametrize(
    ("backbone", "weights", "file"),
    [
        ("vgg16", "default", None),
        ("vgg16", "random", None),
        ("vgg16", "IMAGENET1K_V1", None),
        ("vgg16", "IMAGENET1K_FEATURES", None),
        ("vgg16", "mine.pth", Path("mine.pth")),
        ("timm/resnet10t", "default", None),
        ("timm/resnet10t", "IMAGENET1K_V1", Path("IMAGENET1K_V1")),  # no name of timm's
        ("shapes", "random", None),
        ("shapes", "mine.pt", Path("mine.pt")),
    ],
)
def test_only_a_file_is_a_file(backbone: str, weights: str, file: Path | None) -> None:
    assert weight_file(backbone, weights) == file
    assert BackboneSettings(backbone=backbone, weights=weights).weight_file == file


def test_facts_hold_the_content_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    shutil.copy(SHIPPED, path)
    network = BackboneSettings(backbone="shapes", weights=str(path))
    before = network_facts(network)
    assert before == network_facts(network) and before["weights"] == str(path)
    other_weights(path)
    assert network_facts(network)["weights_digest"] != before["weights_digest"]
    assert "weights_digest" not in network_facts(BackboneSettings(backbone="shapes"))
    path.unlink()
    with pytest.raises(TagsegError, match=r"mine\.pt: no such weight file; put it there, or set network\.weights to"):
        network_facts(network)
    with pytest.raises(TagsegError, match=r"mine\.pt: no such weight file"):
        load_backbone("shapes", str(path))


@pytest.mark.slow
def test_a_replaced_file_redoes_what_reads_it_and_a_missing_one_is_named(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "run")
    shutil.copy(SHIPPED, folder / "mine.pt")
    configs = [SMALLEST, overlay(tmp_path / "w.yaml", "smallest", network={"backbone": "shapes", "weights": "mine.pt"})]
    target = "results/smallest/segmentation/multiclass/model.pt"
    succeed(folder, target, configs=configs)
    with Shard(folder / "results/smallest/trunk.h5", "trunk") as shard:
        assert "weights_digest" in shard.parameters["network"]
    (folder / "mine.pt").touch()
    assert plan(folder, target, configs=configs) == []  # a copy has another time, and nothing else

    other_weights(folder / "mine.pt")
    why = {job.message: job.reason for job in plan(folder, target, configs=configs)}
    for job in (
        "prepare the trunk; maps of all photographs are stored up to 50 GB",
        "train the localization network on tags",
    ):
        assert "Params have changed" in why[f"smallest: {job}"]
    assert "smallest: train the score network of multiclass" in why

    made = {path: path.read_bytes() for path in (folder / "results").rglob("*.h5")}
    (folder / "mine.pt").unlink()
    failed = snakemake(folder, target, configs=configs)
    assert failed.returncode != 0
    said = failed.stdout + failed.stderr
    assert "mine.pt: no such weight file; put it there, or set network.weights to default or random\n" in said
    assert made == {path: path.read_bytes() for path in (folder / "results").rglob("*.h5")}  # nothing is thrown away


@pytest.mark.slow
def test_every_rule_that_reads_the_network_has_its_file_as_an_input(tmp_path: Path) -> None:
    """Whoever hands a stage the options of `network` names the file, too."""
    rules = [
        rule for file in (REPOSITORY / "workflow/rules").glob("*.smk") for rule in file.read_text().split("\nrule ")
    ]
    reading = [rule for rule in rules if 'section("network")' in rule]
    assert len(reading) == 4
    for rule in reading:
        head, _, rest = rule.partition("    output:")
        assert "weights=weight_file," in head and "weights=weight_state," in rest, rule[:60]


@pytest.mark.slow
def test_a_table_of_tags_replaced_by_an_older_one_is_noticed(tmp_path: Path) -> None:
    """The relative of a replaced weight file: the time of what takes a file's place says nothing."""
    folder = prepare(tmp_path / "run")
    (folder / "images").mkdir()
    for name in "ab":
        Image.new("RGB", (40, 40), (90, 10, 200)).save(folder / "images" / f"{name}.jpg")
    (folder / "tags.csv").write_text("image,tags\na,cat\nb,dog\n", encoding="utf-8")
    own = tmp_path / "own.yaml"
    own.write_text("datasets: {own: {data: {kind: folder, root: .}, shards: 1}}\n", encoding="utf-8")
    target = "results/own/tags.csv"
    succeed(folder, target, configs=[own])
    assert plan(folder, target, configs=[own]) == []
    (folder / "tags.csv").write_text("image,tags\na,dog\nb,cat\n", encoding="utf-8")
    os.utime(folder / "tags.csv", (1e9, 1e9))
    (job,) = plan(folder, target, configs=[own])
    assert job.message == "own: index images and tags" and "Params have changed" in job.reason
