"""The configuration: faults are explained by key, and the command line takes back what `flags` gives."""

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

from tagseg import cli, parsing
from tagseg.config import (
    INFERENCE_KEYS,
    LOCALIZATION_HEAD_KEYS,
    PAPER,
    PRIOR_KEYS,
    TRAINING_KEYS,
    BackboneSettings,
    CocoData,
    Config,
    CrfSettings,
    CrispSettings,
    FolderData,
    InferenceMachine,
    LocalizationSettings,
    PriorSettings,
    RegionSettings,
    RegressionSettings,
    SampleSettings,
    SegmentationSettings,
    Settings,
    ShapesData,
    TrainingMachine,
    ViewSettings,
    VocData,
    YoutubeObjectsData,
)
from tagseg.errors import TagsegError
from tagseg.parsing import flags, parse_config


def whole(data: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    """A configuration of one data set `mine`, with more keys in its block."""
    return {"default": "mine", "datasets": {"mine": {"data": data or {"kind": "shapes"}, **keys}}}


def explained(given: Any) -> str:
    with pytest.raises(TagsegError) as caught:
        parse_config(given)
    return str(caught.value)


# recipes


def test_the_paper_s_recipe_is_the_paper_s_choices_where_no_key_is_given() -> None:
    best, paper = (parse_config(whole(recipe=recipe)).datasets["mine"] for recipe in ("best", "paper"))
    assert parse_config(whole()).datasets["mine"] == best
    for group, keys in PAPER.items():
        for key, value in keys.items():
            assert getattr(getattr(paper, group), key) == value
            assert getattr(getattr(best, group), key) != value, f"{group}.{key} is no step"
    given = parse_config(whole(recipe="paper", views={"mirror": True}, crf={"mask_gain": 7})).datasets["mine"]
    assert (given.views.mirror, given.views.scales, given.crf.mask_gain) == (True, [1.0], 7)
    assert given.crf.higher_order == "pn_potts"


def test_a_group_that_is_no_group_is_named_under_either_recipe() -> None:
    assert "datasets.mine.views" in explained(whole(recipe="paper", views=3))


def test_a_block_to_compare_with_must_be_there() -> None:
    assert "datasets.mine.compare names 'other', which is not among datasets" in explained(whole(compare=["other"]))


def test_scales_are_sizes() -> None:
    for scales in ([0.0], [0.5, 9]):
        assert "datasets.mine.views.scales: scale" in explained(whole(views={"scales": scales}))
    assert "datasets.mine.views.scales" in explained(whole(views={"scales": []}))


# faults


def test_a_plain_configuration_has_the_paper_s_experiments() -> None:
    block = parse_config(whole()).datasets["mine"]
    assert [(e.mask, e.crf, e.fov) for e in block.experiments.values()] == [
        ("none", "pairwise", "small"),
        ("fgbg", "pairwise", "small"),
        ("localization", "pairwise", "small"),
        ("multiclass", "pairwise", "small"),
        ("multiclass", "pairwise", "large"),
    ]
    assert block.localization.size == 224 and block.localization.batch == 15
    assert block.segmentation.learning_rate == 1e-4 and block.priors.alpha == 0.5 and block.priors.cam_threshold == 0.2


VOC = {"kind": "voc", "root": "there"}
FOLDER = {"kind": "folder", "root": "there"}


@pytest.mark.parametrize(
    ("given", "where", "meant"),
    [
        ({**whole(), "devise": "cpu"}, "devise", "device"),
        (whole(shard=3), "datasets.mine.shard", "shards"),
        (whole({"kind": "shapes", "sead": 1}), "datasets.mine.data.sead", "seed"),
        (whole({**VOC, "mask": "x"}), "datasets.mine.data.mask", "masks"),
        (whole({**FOLDER, "classses": []}), "datasets.mine.data.classses", "classes"),
        (whole(priors={"alhpa": 0.5}), "datasets.mine.priors.alhpa", "alpha"),
        (whole(network={"backbon": "vgg16"}), "datasets.mine.network.backbon", "backbone"),
        (whole(crf={"iteration": 5}), "datasets.mine.crf.iteration", "iterations"),
        (
            whole(experiments={"tags": {"mask": "none", "fov": "small", "crv": "pairwise"}}, headline=["tags"]),
            "datasets.mine.experiments.tags.crv",
            "crf",
        ),
    ],
)
def test_an_unknown_key_is_refused_with_its_nearest_neighbour(given: dict, where: str, meant: str) -> None:
    assert f"config: {where}: unknown key; did you mean {meant!r}?" in explained(given).splitlines()


def test_a_key_like_no_other_lists_those_there_are() -> None:
    line = explained(whole(network={"qqqqqqqq": 1}))
    assert line == "config: datasets.mine.network.qqqqqqqq: unknown key; known here: backbone, weights, preprocessing"


def test_a_key_of_another_kind_of_data_is_refused() -> None:
    assert "config: datasets.mine.data.size: unknown key" in explained(whole({**FOLDER, "size": 80}))


def test_every_fault_has_a_line() -> None:
    lines = explained(whole(shard=3, priors={"alhpa": 1}, panels=0)).splitlines()
    assert len(lines) == 3 and all(line.startswith("config: datasets.mine.") for line in lines)


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"default": "mine"}, "datasets"),
        ({"default": "mine", "datasets": {"mine": {}}}, "datasets.mine.data"),
        (whole({"kind": "folder"}), "datasets.mine.data.root"),
        (whole(experiments={"tags": {"crf": "none"}}, headline=["tags"]), "datasets.mine.experiments.tags.mask"),
    ],
)
def test_a_missing_key_is_named(given: dict, where: str) -> None:
    assert explained(given) == f"config: {where}: this key is required and missing"


@pytest.mark.parametrize(
    ("given", "where", "got"),
    [
        (whole(shards="many"), "datasets.mine.shards", "'many'"),
        (whole(shards=0), "datasets.mine.shards", "0"),
        (whole(priors={"alpha": 1.5}), "datasets.mine.priors.alpha", "1.5"),
        (whole(localization={"stride": 12}), "datasets.mine.localization.stride", "12"),
        (whole(segmentation={"flip": "perhaps"}), "datasets.mine.segmentation.flip", "'perhaps'"),
        ({**whole(), "device": "tpu"}, "device", "'tpu'"),
        (whole({"kind": "shapes", "size": 20}), "datasets.mine.data.size", "20"),
        (whole(masks_table=["fgbg", "none"]), "datasets.mine.masks_table.1", "'none'"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_given(given: dict, where: str, got: str) -> None:
    line = explained(given)
    assert line.startswith(f"config: {where}: ") and line.endswith(f"(got {got})")


@pytest.mark.parametrize("given", [None, [], "text"])
def test_what_is_no_mapping_is_refused_in_one_line(given: Any) -> None:
    assert re.fullmatch(r"config: the top level: [^\n]+", explained(given))


@pytest.mark.parametrize("kind", ["voc", "folder", "shapes"])
def test_a_block_outside_datasets_is_refused(kind: str) -> None:
    """The likeliest slip: the block of a data set at the top level, under the name of its kind."""
    assert f"config: {kind}: unknown key" in explained({**whole(), kind: {"data": {"kind": kind}}})


def test_a_data_set_named_like_its_kind_is_named_once_in_the_path() -> None:
    given = {"default": "voc", "datasets": {"voc": {"data": {**VOC, "rooot": "x"}}}}
    assert "config: datasets.voc.data.rooot: unknown key" in explained(given)


def test_an_experiment_named_like_a_kind_stays_in_the_path() -> None:
    given = whole(experiments={"voc": {"mask": "nothing"}}, headline=["voc"])
    assert explained(given).startswith("config: datasets.mine.experiments.voc.mask: ")


def test_an_unknown_kind_of_data_lists_the_known() -> None:
    line = explained(whole({"kind": "cityscapes"}))
    assert line.startswith("config: datasets.mine.data: ")
    assert all(kind in line for kind in ("shapes", "folder", "voc"))


def test_an_unknown_crf_is_refused_with_the_known() -> None:
    line = explained(whole(experiments={"tags": {"mask": "none", "crf": "higherorder"}}, headline=["tags"]))
    assert line.startswith("config: datasets.mine.experiments.tags.crf: ") and "higher_order" in line


def test_a_headline_that_is_no_experiment_is_refused() -> None:
    line = explained(whole(headline=["tags", "mutliclass"]))
    assert line.startswith("config: datasets.mine: headline names 'mutliclass', which is not among experiments: tags,")


def test_a_linear_head_has_no_hidden_layer() -> None:
    line = explained(whole(localization={"mode": "head", "hidden": 512}))
    assert "localization: mode head" in line and "set hidden to 0" in line
    assert parse_config(whole(localization={"mode": "head"})).datasets["mine"].localization.hidden == 0


def test_a_default_that_is_no_data_set_is_refused() -> None:
    assert "default names 'other', which is not among datasets: mine" in explained({**whole(), "default": "other"})


@pytest.mark.parametrize("name", ["a/b", "..", "a b", ""])
def test_names_that_are_no_folders_are_refused(name: str) -> None:
    assert "use letters, digits and _ only" in explained(
        {"default": name, "datasets": {name: {"data": {"kind": "shapes"}}}}
    )
    assert "use letters, digits and _ only" in explained(whole(experiments={name: {"mask": "none"}}, headline=[name]))


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValueError, match="frozen"):
        CrfSettings().iterations = 3  # type: ignore[misc]


# the command line


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
    "extract": (COMMON, "extract", [BackboneSettings, ViewSettings, InferenceMachine]),
    "localization": (TRAINING, "localization", [BackboneSettings, LocalizationSettings, TrainingMachine]),
    "cams": ([*COMMON, "--model", "model.pt"], "cams", [ViewSettings, InferenceMachine]),
    "predict": ([*COMMON, "--model", "model.pt"], "predict", [InferenceMachine]),
    "samples": (
        [*COMMON, "--maps", "maps.h5"],
        "samples",
        [BackboneSettings, ViewSettings, SampleSettings, CrfSettings, InferenceMachine],
    ),
    "refit": ([*COMMON, "--classes", "classes.txt", "--samples", "samples.h5"], "refit", [RegressionSettings]),
    "second-round": (
        [*COMMON, "--maps", "maps.h5", "--model", "model.pt"],
        "second_round",
        [BackboneSettings, ViewSettings, InferenceMachine],
    ),
    "fuse": ([*COMMON, "--classes", "classes.txt", "--prior", "fgbg"], "fuse", [PriorSettings]),
    "regions": (COMMON, "regions", [RegionSettings]),
    "region-panels": (COMMON, "region_panels", [CrispSettings]),
    "smooth": ([*COMMON, "--maps", "maps.h5", "--crf", "pairwise"], "smooth", [CrfSettings]),
    "train": ([*TRAINING, "--mask", "none"], "train", [BackboneSettings, SegmentationSettings, TrainingMachine]),
}


def settings_received(name: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Run a subcommand with its stage replaced; the settings that the stage was handed, in order."""
    arguments, stage, _ = COMMANDS[name]
    received: list[Settings] = []
    module = import_module(f"tagseg.stages.{stage}")
    signature = inspect.signature(module.run)

    def run(*given: Any, **named: Any) -> None:
        bound = signature.bind(*given, **named)  # the subcommand must fit the stage
        received.extend(value for value in bound.arguments.values() if isinstance(value, Settings))

    monkeypatch.setattr(module, "run", run)
    outcome = CliRunner().invoke(cli.app, [*name.split(), *arguments, *words], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return received


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_line_takes_back_what_flags_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = [another(settings) for settings in COMMANDS[name][2]]
    words = [word for settings in sent for word in shlex.split(flags(settings))]
    assert settings_received(name, words, monkeypatch) == sent


@pytest.mark.parametrize("name", ["extract", "localization", "fuse", "smooth", "train", "make-shapes"])
def test_defaults_of_the_command_line_are_the_configuration_s(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [s(kind="shapes") if s is ShapesData else s() for s in COMMANDS[name][2]]
    assert settings_received(name, [], monkeypatch) == wanted


@pytest.mark.parametrize("normalise", [True, False])
def test_a_switch_has_a_flag_for_either_side(normalise: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = PriorSettings(normalise=normalise)
    assert ("--no-normalise" in flags(sent)) != normalise
    assert settings_received("fuse", shlex.split(flags(sent)), monkeypatch) == [sent]


def test_flags_of_some_keys_leave_the_others_out() -> None:
    given = flags(PriorSettings(), PRIOR_KEYS["fgbg"])
    assert sorted(re.findall(r"--([\w-]+)", given)) == ["fgbg-centre", "grid", "layers", "scaling"]


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        *((PriorSettings, keys) for keys in PRIOR_KEYS.values()),
        (LocalizationSettings, LOCALIZATION_HEAD_KEYS),
        *((Config, keys) for keys in (TRAINING_KEYS, INFERENCE_KEYS)),
    ],
)
def test_chosen_keys_are_keys_of_the_settings(settings: type[Settings], keys: frozenset[str]) -> None:
    assert keys <= set(settings.model_fields)


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
    assert set(content["properties"]) == {"default", "datasets"} | TRAINING_KEYS | INFERENCE_KEYS
    assert content["required"] == ["datasets"]


def test_every_key_says_what_it_means() -> None:
    for kind in [*Settings.__subclasses__(), PriorSettings]:
        for name, field in kind.model_fields.items():
            grouped = inspect.isclass(field.annotation) and issubclass(field.annotation, Settings)
            assert field.description or grouped or name in ("kind", "data"), f"{kind.__name__}.{name}"
