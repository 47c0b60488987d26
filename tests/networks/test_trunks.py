"""Other trunks without a line of code: every stage, from images to a table, on a ResNet and a vision transformer."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tagseg import cli
from tagseg.artifacts.shards import Shard
from tagseg.datasets.shapes import TARGETS
from tagseg.networks.segmentation import describe
from tagseg.runtime.restore import load_localization, load_segmentation

NAMES = ("timm/resnet10t", "timm/vit_tiny_patch16_224")
TRAINING, VALIDATION = 4, 2
SIDE = 72  # no multiple of 16: maps are rounded up, transformers pad
TAGS, CLASSES = "--tags tags.csv", "--classes classes.txt"
LOOKS = "--scales 1 --no-mirror --stride 0"
KEPT = "--features features.h5 --trunk trunk.h5"
PRIORS = ("fgbg", "localization", "multiclass")
EXPERIMENTS = {"none": "small", "fgbg": "small", "multiclass": "large"}


def steps(name: str) -> list[str]:
    """The commands of a whole run at stride 16, which both trunks have."""
    network = f"--backbone {name} --weights random"
    lines = [
        f"make-shapes --images own/images --masks own/masks --tags own/tags.csv --train {TRAINING} --val {VALIDATION} "
        f"--size {SIDE} --seed 3",
        f"index folder --root own {' '.join(f'--classes {target}' for target in TARGETS)} --output tags.csv "
        "--classes-file classes.txt",
        "ground-truth folder --root own --index tags.csv --output truth.csv",
        f"prepare-trunk {TAGS} {network} {LOOKS} --output trunk.h5",
        f"extract {TAGS} --trunk trunk.h5 --features features.h5 --output activations.h5",
        f"train-localization {TAGS} {CLASSES} {network} --mode head --hidden 0 --iterations 5 --features features.h5 "
        "--output head.pt --log head.csv",
        f"cams {TAGS} --model head.pt {KEPT} --output cams-head.h5",
        f"train-localization {TAGS} {CLASSES} {network} --mode finetune --hidden 8 --stride 16 --size 64 --batch 2 "
        "--iterations 2 --output finetuned.pt --log finetuned.csv",
        f"cams {TAGS} --model finetuned.pt {LOOKS} --output cams.h5",
        f"regions {TAGS} --output regions.h5",
    ]
    for prior in PRIORS:
        crf = "higher_order --regions regions.h5" if prior == "multiclass" else "pairwise"
        lines += [
            f"fuse --prior {prior} {TAGS} {CLASSES} --activations activations.h5 --cams cams.h5 --output {prior}.h5",
            f"smooth --crf {crf} {TAGS} --maps {prior}.h5 --output masks-{prior}.h5",
        ]
    lines += [
        f"second-round sample {TAGS} --maps multiclass.h5 {KEPT} --confidence 0.3 --output samples.h5",
        f"second-round fit {TAGS} {CLASSES} --samples samples.h5 --output pixels.h5",
        f"second-round apply {TAGS} --maps multiclass.h5 --model pixels.h5 {KEPT} --output second.h5",
    ]
    for mask, fov in EXPERIMENTS.items():
        masks = "" if mask == "none" else f"--masks masks-{mask}.h5"
        lines += [
            f"train-segmentation {TAGS} {CLASSES} {network} --mask {mask} {masks} --fov {fov} --stride 16 "
            f"--iterations 2 --output {mask}.pt --log {mask}.csv",
            f"score {TAGS} --model {mask}.pt --output scores-{mask}.h5",
            f"smooth --crf pairwise {TAGS} --maps scores-{mask}.h5 --split val --output labels-{mask}.h5",
            f"evaluate --labels labels-{mask}.h5 {TAGS} --ground-truth truth.csv {CLASSES} --fact experiment={mask} "
            f"--fact mask={mask} --fact crf=pairwise --fact fov={fov} --fact smoothing=pairwise --output {mask}.json",
        ]
    return [*lines, f"tabulate --table miou {' '.join(f'{mask}.json' for mask in EXPERIMENTS)} --output miou.csv"]


@pytest.fixture(scope="module", params=NAMES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Name of a trunk, and the folder of its whole run."""
    folder = tmp_path_factory.mktemp("trunk")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in steps(request.param):
            outcome = CliRunner().invoke(cli.app, line.split(), catch_exceptions=False)
            assert outcome.exit_code == 0, f"{line}\n{outcome.output}"
    return request.param, folder


def ids(kind: str) -> list[str]:
    count = {"train": TRAINING, "val": VALIDATION}[kind]
    return [f"{kind}_{i:05d}" for i in range(count)]


def test_activations_and_cams_of_every_image_are_at_the_trunk_s_strides(run: tuple[str, Path]) -> None:
    name, folder = run
    own = math.ceil(SIDE / (16 if "vit" in name else 32))
    at_16 = math.ceil(SIDE / 16)
    cams = {at_16: Shard(folder / "cams.h5", "cams"), own: Shard(folder / "cams-head.h5", "cams")}
    activations = Shard(folder / "activations.h5", "activations")
    for image_id in ids("train") + ids("val"):
        conv4, conv5 = activations.get(image_id, "conv4-0"), activations.get(image_id, "conv5-0")
        assert conv4.shape == (at_16, at_16) and conv5.shape == (own, own)
        for maps in (conv4, conv5):
            assert np.isfinite(maps).all() and maps.std() > 0 and maps.min() >= 0
        for side, shard in cams.items():
            values, labels = shard.get(image_id, "cams"), shard.get(image_id, "labels")
            assert values.shape == (len(labels), side, side) and len(labels) > 0
            assert np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1


def test_masks_and_predictions_of_every_image_have_its_size(run: tuple[str, Path]) -> None:
    _, folder = run
    for prior in PRIORS:
        shard = Shard(folder / f"masks-{prior}.h5", "labels")
        assert all(shard.get(image_id, "labels").shape == (SIDE, SIDE) for image_id in ids("train") + ids("val"))
    for mask in EXPERIMENTS:
        scores, labels = Shard(folder / f"scores-{mask}.h5", "scores"), Shard(folder / f"labels-{mask}.h5", "labels")
        for image_id in ids("val"):
            maps, side = scores.get(image_id, "maps"), math.ceil(SIDE / 16)
            assert maps.shape == (1 + len(TARGETS), side, side) and np.isfinite(maps).all() and maps.std() > 0
            assert labels.get(image_id, "labels").shape == (SIDE, SIDE)


def test_models_are_rebuilt_at_their_stride_and_every_one_is_evaluated(run: tuple[str, Path]) -> None:
    name, folder = run
    assert load_localization(folder / "finetuned.pt")[1] == list(TARGETS)
    for mask, fov in EXPERIMENTS.items():
        network, classes, _ = load_segmentation(folder / f"{mask}.pt")
        own = 16 if "vit" in name else 32
        facts = describe(network)
        assert classes == ["background", *TARGETS]
        assert (facts.stride, facts.field_of_view) == (16, own + (2 * 6 * 16 if fov == "large" else 0))
        result = json.loads((folder / f"{mask}.json").read_text(encoding="utf-8"))
        assert sum(map(sum, result["counts"])) > 0
    rows = (folder / "miou.csv").read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == list(EXPERIMENTS)
