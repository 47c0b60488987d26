"""Settings as command-line options: what flags sends is what a stage receives, and every key has its option."""

import inspect
import json
import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import annotated_types
import pytest
from pydantic_core import PydanticUndefined
from typer.testing import CliRunner

from tagseg import cli
from tagseg.config import parsing
from tagseg.config.data import CocoData, FolderData, Settings, ShapesData, VocData, YoutubeObjectsData
from tagseg.config.masks import (
    CRF_SETTINGS,
    PRIOR_SETTINGS,
    CrfSettings,
    CrispSettings,
    PairwiseMaskSettings,
    PredictionCrfSettings,
    PriorSettings,
    RegionSettings,
    RegressionSettings,
    SampleSettings,
    WeightSettings,
)
from tagseg.config.networks import (
    BackboneSettings,
    FeatureDisk,
    InferenceMachine,
    LocalizationHeadSettings,
    LocalizationSettings,
    SegmentationSettings,
    TrainingMachine,
    ViewSettings,
)
from tagseg.config.parsing import flags
from tagseg.errors import TagsegError


def another(settings: type[Settings]) -> Settings:
    """Settings of which each key has a value other than its default, so that a flag lost on the way is seen."""
    values: dict[str, Any] = {}
    for name, field in settings.model_fields.items():
        default, kind = field.default, field.annotation
        if name == "kind":
            values[name] = get_args(kind)[0]
        elif get_origin(kind) is Literal:
            values[name] = next(choice for choice in get_args(kind) if choice != default)
        elif kind is bool:
            values[name] = not default
        elif kind is int:
            values[name] = default + 1
        elif kind is float:
            limits = [limit for limit in field.metadata if isinstance(limit, annotated_types.Le | annotated_types.Lt)]
            values[name] = default * 0.75 + 0.01 if limits else default * 1e-3 + 1e-7
        elif kind is str:
            values[name] = "it's $HOME"
        elif kind is Path:
            values[name] = Path("a folder/of mine")
        else:
            choices: dict[Any, list[Any]] = {list[str]: ["zebra", "potted plant"], list[float]: [0.25, 3.0]}
            assert kind in choices, f"{name}: teach this test about {kind}"
            values[name] = choices[kind]
        assert name == "kind" or default is PydanticUndefined or values[name] != default
    if settings is LocalizationSettings:
        values["hidden"] = 0  # mode head, which the loop chose, has no other value
    if settings is VocData:
        values["tags"] = "table"  # goes with a table, which the loop gave
    if settings is CocoData:
        values["val"] = ""  # a share of the training images, which the loop chose, leaves no other value
    return settings(**values)


COMMON = ["--tags", "tags.csv", "--output", "out"]
TRAINING = [*COMMON, "--classes", "classes.txt", "--log", "log.csv"]
COMMANDS: dict[str, tuple[list[str], str, list[type[Settings]]]] = {
    "make-shapes": (["--images", "i", "--masks", "m", "--tags", "tags.csv"], "make_shapes", [ShapesData]),
    "index folder": (["--output", "out", "--classes-file", "c"], "index", [FolderData]),
    "index voc": (["--output", "out", "--classes-file", "c"], "index", [VocData]),
    "ground-truth folder": (["--output", "out", "--index", "tags.csv"], "ground_truth", [FolderData]),
    "ground-truth voc": (["--output", "out", "--index", "tags.csv"], "ground_truth", [VocData]),
    "index coco": (["--output", "out", "--classes-file", "c"], "index", [CocoData]),
    "ground-truth coco": (["--output", "out", "--index", "tags.csv", "--rendered", "r"], "ground_truth", [CocoData]),
    "render-truth voc": (["--output", "out", "--index", "tags.csv"], "render_truth", [VocData]),
    "render-truth coco": (["--output", "out", "--index", "tags.csv"], "render_truth", [CocoData]),
    "index youtube_objects": (["--output", "out", "--classes-file", "c"], "index", [YoutubeObjectsData]),
    "ground-truth youtube_objects": (["--output", "out", "--index", "tags.csv"], "ground_truth", [YoutubeObjectsData]),
    "render-truth youtube_objects": (["--output", "out", "--index", "tags.csv"], "render_truth", [YoutubeObjectsData]),
    "prepare-trunk": (
        ["--tags", "tags.csv", "--output", "out"],
        "prepare_trunk",
        [BackboneSettings, ViewSettings, FeatureDisk, InferenceMachine],
    ),
    "extract": ([*COMMON, "--trunk", "trunk.h5"], "extract", [InferenceMachine]),
    "figure foreground": (
        ["--tags", "tags.csv", "--ground-truth", "t.csv", "--priors", "p.h5", "--masks", "m.h5", "--output", "o.png"],
        "figure_foreground",
        [BackboneSettings, ViewSettings, InferenceMachine],
    ),
    "train-localization": (TRAINING, "train_localization", [BackboneSettings, LocalizationSettings, TrainingMachine]),
    "cams": ([*COMMON, "--model", "model.pt"], "cams", [ViewSettings, InferenceMachine]),
    "score": ([*COMMON, "--model", "model.pt"], "score", [InferenceMachine]),
    "second-round sample": (
        [*COMMON, "--maps", "maps.h5", "--features", "f.h5", "--trunk", "trunk.h5"],
        "second_round.sample",
        [SampleSettings, PairwiseMaskSettings, InferenceMachine],
    ),
    "second-round fit": (
        [*COMMON, "--classes", "classes.txt", "--samples", "samples.h5"],
        "second_round.fit",
        [RegressionSettings],
    ),
    "second-round apply": (
        [*COMMON, "--maps", "maps.h5", "--model", "model.h5", "--features", "f.h5", "--trunk", "trunk.h5"],
        "second_round.apply",
        [WeightSettings, InferenceMachine],
    ),
    "fuse": ([*COMMON, "--classes", "classes.txt", "--prior", "fgbg"], "fuse", [PriorSettings]),
    "regions": (COMMON, "regions", [RegionSettings]),
    "region-panels": (COMMON, "region_panels", [CrispSettings]),
    "smooth": ([*COMMON, "--maps", "maps.h5", "--crf", "pairwise"], "smooth", [CrfSettings]),
    "train-segmentation": (
        [*TRAINING, "--mask", "none"],
        "train_segmentation",
        [BackboneSettings, SegmentationSettings, TrainingMachine],
    ),
}


def settings_received(name: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Run a subcommand with its stage replaced; the settings that the stage was handed, in order."""
    arguments, stage, _ = COMMANDS[name]
    received: list[Settings] = []
    module = import_module(f"tagseg.{stage if stage.startswith('commands.') else f'stages.{stage}'}")
    signature = inspect.signature(module.run)

    def run(*given: Any, **named: Any) -> list[Any]:
        bound = signature.bind(*given, **named)  # the subcommand must fit the stage
        received.extend(value for value in bound.arguments.values() if isinstance(value, Settings))
        return []

    monkeypatch.setattr(module, "run", run)
    outcome = CliRunner().invoke(cli.app, [*name.split(), *arguments, *words], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return received


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_line_takes_back_what_flags_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = [another(settings) for settings in COMMANDS[name][2]]
    words = [word for settings in sent for word in shlex.split(flags(settings))]
    assert settings_received(name, words, monkeypatch) == sent


def test_predict_takes_the_keys_that_count_for_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [PredictionCrfSettings, RegionSettings, InferenceMachine]
    monkeypatch.setitem(COMMANDS, "predict", (["model.pt", "a.jpg", "--output", "out"], "commands.predict", wanted))
    sent = [another(settings) for settings in wanted]
    assert settings_received("predict", shlex.split(" ".join(map(flags, sent))), monkeypatch) == sent


@pytest.mark.parametrize(
    "name", ["prepare-trunk", "train-localization", "fuse", "smooth", "train-segmentation", "make-shapes"]
)
def test_defaults_of_the_command_line_are_the_configuration_s(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [s(kind="shapes") if s is ShapesData else s() for s in COMMANDS[name][2]]
    assert settings_received(name, [], monkeypatch) == wanted


@pytest.mark.parametrize("normalise", [True, False])
def test_a_switch_has_a_flag_for_either_side(normalise: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = PriorSettings(normalise=normalise)
    assert ("--no-normalise" in flags(sent)) != normalise
    assert settings_received("fuse", shlex.split(flags(sent)), monkeypatch) == [sent]


def test_flags_of_a_part_leave_the_other_keys_out() -> None:
    given = flags(PriorSettings().part(PRIOR_SETTINGS["fgbg"]))
    assert sorted(re.findall(r"--([\w-]+)", given)) == ["fgbg-centre", "grid", "layers", "scaling"]


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        *((PriorSettings(), part) for part in PRIOR_SETTINGS.values()),
        *((CrfSettings(), part) for part in CRF_SETTINGS.values()),
        (LocalizationSettings(), LocalizationHeadSettings),
    ],
)
def test_a_part_has_the_values_of_the_whole(settings: Settings, part: type[Settings]) -> None:
    whole = another(type(settings))
    assert whole.part(part).model_dump() == {key: getattr(whole, key) for key in part.model_fields}


def test_a_wrong_value_on_the_command_line_names_the_option() -> None:
    words = ["fuse", *COMMANDS["fuse"][0], "--cam-threshold", "1.5"]
    outcome = CliRunner().invoke(cli.app, words)
    assert isinstance(outcome.exception, TagsegError)
    assert re.fullmatch(r"--cam-threshold: .*\(got 1\.5\)", str(outcome.exception))


def test_config_schema_prints_the_schema() -> None:
    outcome = CliRunner().invoke(cli.app, ["config-schema"])
    assert outcome.exit_code == 0
    assert outcome.output == parsing.schema()
    content = json.loads(outcome.output)
    machine = {*TrainingMachine.model_fields, *InferenceMachine.model_fields, *FeatureDisk.model_fields}
    assert set(content["properties"]) == {"default", "datasets", "keep_maps"} | machine
    assert content["required"] == ["datasets"]


def test_every_key_says_what_it_means() -> None:
    for kind in [*Settings.__subclasses__(), PriorSettings]:
        for name, field in kind.model_fields.items():
            grouped = inspect.isclass(field.annotation) and issubclass(field.annotation, Settings)
            assert field.description or grouped or name in ("kind", "data"), f"{kind.__name__}.{name}"
