"""What benchmarks need before they measure, and that each runs to its end."""

import csv
import importlib.util
import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from snakemake_runs import REPOSITORY

from tagseg.config.networks import BackboneSettings, FeatureDisk, InferenceMachine, ViewSettings
from tagseg.config.parsing import parse_config
from tagseg.datasets.index import ImageRecord, write_index
from tagseg.evaluation.confusion import ConfusionMatrix
from tagseg.evaluation.result import Result
from tagseg.stages import prepare_trunk


def benchmark(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "benchmarks" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benchmarks import what they share as a script does, from their own folder."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))


def test_a_configuration_of_somebody_else_s_is_not_replaced(tmp_path: Path) -> None:
    runs, config = benchmark("runs"), REPOSITORY / "tests" / "configs" / "tiny.yaml"
    (tmp_path / "config.yaml").write_text("default: mine\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"holds a config\.yaml that no benchmark put there; give another folder"):
        runs.prepared(tmp_path, config)
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["default: mine\n"]
    for _ in range(2):  # its own may be used again
        runs.prepared(tmp_path / "new", config)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"config.yaml", "given.yaml"}


def test_steps_of_a_relative_data_set_run_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is given the relative paths of a configuration as absolute ones, and its figures are gathered."""
    steps = benchmark("steps")
    config = {
        "datasets": {
            "own": {
                "data": {"kind": "voc", "root": "docs", "masks": "SegmentationClassAug", "sbd": ""},
                "network": {"backbone": "vgg16", "weights": "README.md"},
            },
            "other": {"data": {"kind": "folder", "root": "nowhere"}, "network": {"weights": "default"}},
        }
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    given: list[dict[str, Any]] = []

    def run(folder: Path, configs: list[Path], cores: int, targets: list[str]) -> None:
        given.append(yaml.safe_load(configs[0].read_text(encoding="utf-8"))["datasets"])
        given[-1]["step"] = yaml.safe_load(configs[1].read_text(encoding="utf-8"))["datasets"]["own"]
        for target in targets:
            (folder / target).parent.mkdir(parents=True, exist_ok=True)
            matrix = ConfusionMatrix(2, np.array([[3, 1], [0, 4]]))
            (folder / target).write_text(Result({}, ["background", "a"], 1, matrix).to_json(), encoding="utf-8")

    monkeypatch.setattr(steps, "run", run)
    monkeypatch.setattr("sys.argv", ["steps.py", "own.yaml", "own", "--results", "far/away"])
    monkeypatch.chdir(tmp_path)
    steps.main()
    assert len(given) == len(steps.STEPS)
    for blocks in given:
        root, weights = str(REPOSITORY / "docs"), str(REPOSITORY / "README.md")
        assert blocks["own"]["data"] == {**config["datasets"]["own"]["data"], "root": root}
        assert blocks["own"]["network"] == {"backbone": "vgg16", "weights": weights}
        assert blocks["other"] == config["datasets"]["other"]
    assert (
        given[0]["step"]["second_round"]["priors"] == ["fgbg", "multiclass"]
        and given[-1]["step"]["second_round"]["priors"] == []
    )
    with (tmp_path / "steps-own.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == [name for name, _, _ in steps.STEPS]
    assert {row["fgbg val"] for row in rows} == {"77.5"} and json.loads(rows[0]["classes train"]) == [75.0, 80.0]


def test_what_masks_take_is_read_off_the_logs_and_the_parts_are_measured(tmp_path: Path) -> None:
    masks = benchmark("masks")
    for name, text in {
        "extract/000": "12:00:00 x: 3.5 core-seconds, 80 MB of memory\n",
        "extract/001": "12:00:00 x: 2.0 core-seconds, 90 MB of memory\n",
        "smooth_masks/fgbg-higher_order/000": "12:00:00 x: 1.0 core-seconds, 70 MB of memory\n",
        "second_round_fit/fgbg": "12:00:00 x: 4.0 core-seconds, 60 MB of memory\n",
        "index": "broken off\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.log").write_text(text, encoding="utf-8")
    assert masks.used(tmp_path) == {
        "extract": (2, 5.5, 90.0),
        "second_round_fit fgbg": (1, 4.0, 60.0),
        "smooth_masks fgbg": (1, 1.0, 70.0),
    }
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    record = ImageRecord("a", "train", tmp_path / "a.png", 64, 48, ("cat",))
    write_index(tmp_path / "tags.csv", [record])
    network = BackboneSettings(backbone="shapes")
    prepare_trunk.run(
        tmp_path / "tags.csv", tmp_path / "trunk.h5", network, ViewSettings(), FeatureDisk(), InferenceMachine()
    )
    settings = parse_config(yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))).datasets["shapes"]
    parts = masks.bare_parts(tmp_path / "trunk.h5", masks.spread([record], 3), settings)
    assert len(parts) == 4 and all(seconds > 0 for seconds in parts.values())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("extraction --backbone shapes --images 2 --repeats 1", "stage, onnxruntime: "),
        ("prediction --backbone shapes --images 2 --repeats 1", "ratio"),
        ("training --backbone shapes --steps 1 --repeats 1", "ratio"),
        ("crf --steps 1 --repeats 1 --regions 10", "robust_pn"),
        ("regions --image photograph.png --repeats 1", "whole call / pydensecrf"),
        ("regions --images 2", "after 3 pictures"),
        ("evaluation --images 2 --shards 1", "trimap"),
    ],
)
def test_it_measures(line: str, told: str, tmp_path: Path) -> None:
    """As from the shell: nobody else puts its folder on the path, and it may set what libraries read when loaded."""
    name, *options = line.split()
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photograph.png")
    command = [sys.executable, str(REPOSITORY / "benchmarks" / f"{name}.py"), *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert told in done.stdout
