"""The configuration: faults are explained by key, and the command line takes back what `flags` gives."""

import re
from typing import Any

import pytest
import yaml
from snakemake_runs import REPOSITORY

from tagseg.config import PAPER
from tagseg.config.masks import CrfSettings
from tagseg.config.parsing import parse_config
from tagseg.errors import TagsegError


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


# the demo on other worlds


def test_the_demo_s_further_worlds_differ_from_it_in_their_seeds_alone() -> None:
    demo, worlds = (
        yaml.safe_load((REPOSITORY / path).read_text(encoding="utf-8"))
        for path in ("config.yaml", "tests/configs/shapes_seeds.yaml")
    )
    blocks = parse_config({**demo, "datasets": {**demo["datasets"], **worlds["datasets"]}}).datasets
    assert set(blocks) == {"shapes", "shapes_1", "shapes_2"}
    for seed in (1, 2):
        other = blocks["shapes"].data.model_copy(update={"seed": seed})
        assert blocks[f"shapes_{seed}"] == blocks["shapes"].model_copy(update={"seed": seed, "data": other})


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


def test_a_key_of_an_earlier_version_is_told_its_name_now() -> None:
    line = explained(whole(refit={"priors": []}))
    assert line == "config: datasets.mine.refit: this key is called second_round now; rename it"


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
