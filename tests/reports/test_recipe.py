"""`recipe: paper` is the paper in every stage: each key that it speaks of, by where it does so."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake_runs import REPOSITORY

from tagseg.commands.project import Survey, config_text, settings_for
from tagseg.config import DatasetConfig, Experiment
from tagseg.config.parsing import parse_config
from tagseg.config.recipes import PAPER, departures
from tagseg.evaluation.confusion import ConfusionMatrix
from tagseg.evaluation.result import Result
from tagseg.evaluation.tables import ablation_table, masks_table, miou_table

# What the paper gives, section by section, apart from the code's own table.
SAID: dict[str, Any] = {
    "network.backbone": "vgg16",  # 4.2.1
    "views.scales": [1.0],  # 3.1.1: the image, once
    "views.mirror": False,
    "views.stride": 0,
    "priors.layers": "raw_sum",  # 3.1.1: "simple elementwise summation"
    "priors.scaling": "min_max",  # "scale the resulting values between 0 and 1"
    "priors.fgbg_centre": 0,
    "priors.grid": 1,  # "resizing the activation map to the input image size"
    "priors.cam_threshold": 0.2,  # 3.1.2: "above 20% of the maximum value"
    "priors.alpha": 0.5,  # Eq. 3
    "priors.background": "mean",  # Eq. 4
    "priors.background_power": 1,
    "priors.normalise": True,  # "normalized to obtain a probability"
    "second_round.priors": [],
    "localization.mode": "finetune",  # 4.2.2
    "localization.rows": "trained",  # Eq. 1
    "localization.size": 224,
    "localization.batch": 15,
    "localization.iterations": 60_000,  # "the same values as for the semantic segmentation network"
    "localization.learning_rate": 1e-4,
    "localization.head_factor": 1,
    "localization.schedule": "step",
    "localization.momentum": 0.9,
    "localization.weight_decay": 5e-4,
    "localization.reduction": "sum",  # Caffe
    "crf.mask_gain": 1,  # Eq. 7
    "crf.score_gain": 1,
    "crf.higher_order": "pn_potts",  # Eq. 8
    "crf.region_probability": "map",
    "crf.higher_order_weight": 1,  # Eq. 6
    "regions.mode": "speedy_public",  # 4.4.2
    "segmentation.stride": 8,  # 4.2.1
    "segmentation.size": 0,
    "segmentation.batch": 1,
    "segmentation.iterations": 60_000,  # 40k at 1e-4, 20k at 1e-5
    "segmentation.learning_rate": 1e-4,
    "segmentation.head_factor": 1,
    "segmentation.schedule": "step",
    "segmentation.momentum": 0.9,
    "segmentation.weight_decay": 5e-4,
    "segmentation.lse_r": 5,  # Eq. 11
}
# Of these it does not speak, or they are of the machine, or of what the paper does not have.
SILENT = {
    *("network.weights", "network.preprocessing"),
    *(f"{net}.{key}" for net in ("localization", "segmentation") for key in ("precision", "channels_last")),
    *("localization.hidden", "localization.stride", "segmentation.flip", "priors.background_classes"),
    *(
        f"second_round.{key}"
        for key in ("weight", "pixels", "most_pixels", "confidence", "crf_pixels", "decay", "iterations")
    ),
    *(f"crf.{kernel}_{key}" for kernel in ("gaussian", "bilateral") for key in ("width", "weight")),
    *(f"crf.{key}" for key in ("bilateral_colour", "iterations", "tolerance", "max_pixels", "gamma_max")),
    *("crf.truncation", "crf.size_exponent", "regions.threshold", "regions.longest_side", "regions.seed"),
}
GROUPS = ("network", "views", "localization", "priors", "second_round", "crf", "regions", "segmentation")
DATA = {"kind": "folder", "root": "there"}


def block(**keys: Any) -> DatasetConfig:
    return parse_config({"default": "mine", "datasets": {"mine": {"data": DATA, **keys}}}).datasets["mine"]


def values(settings: DatasetConfig) -> dict[str, Any]:
    return {f"{group}.{key}": v for group in GROUPS for key, v in getattr(settings, group).model_dump().items()}


def test_every_key_the_paper_speaks_of_has_its_value() -> None:
    paper = values(block(recipe="paper"))
    assert {key: paper[key] for key in SAID} == SAID
    assert block(recipe="paper").recipe_name() == "paper" and block().recipe_name() == "best"


def test_of_every_key_it_is_decided_whether_the_paper_speaks() -> None:
    """A new key belongs in one of the two tables, and in PAPER in the first case."""
    keys = set(values(block()))
    assert set(SAID) | SILENT == keys and not set(SAID) & SILENT
    assert {f"{group}.{key}" for group, keys in PAPER.items() for key in keys} == set(SAID)


def test_what_the_paper_does_not_say_is_the_same_under_both_recipes() -> None:
    paper, best = values(block(recipe="paper")), values(block())
    assert {key: paper[key] for key in SILENT} == {key: best[key] for key in SILENT}


def test_a_given_key_counts_first_and_is_named() -> None:
    own = block(recipe="paper", segmentation={"lse_r": 0.1}, localization={"mode": "head", "stride": 32})
    assert (own.segmentation.lse_r, own.segmentation.batch, own.localization.hidden) == (0.1, 1, 0)
    assert own.recipe_name() == "paper, but for localization.mode, segmentation.lse_r"
    assert block(segmentation={"lse_r": 5}).recipe_name() == "best"
    assert departures(block(recipe="paper").model_dump()) == []


@pytest.mark.parametrize(("name", "other"), [("voc", ""), ("coco", ", but for priors.grid"), ("yto", "")])
def test_the_paper_s_data_sets_come_in_both_recipes(name: str, other: str) -> None:
    given = yaml.safe_load((REPOSITORY / "config" / f"{name}.yaml").read_text(encoding="utf-8"))
    config = parse_config(given)
    best, paper = config.datasets[name], config.datasets[f"{name}_paper"]
    assert (best.recipe_name(), paper.recipe_name()) == ("best", f"paper{other}")
    assert best.data == paper.data and best.experiments == paper.experiments and paper.published == name
    assert (best.segmentation.lse_r, paper.segmentation.lse_r) == (0.1, 5)
    assert list(paper.experiments.values())[-1] == Experiment(mask="multiclass", crf="higher_order", fov="large")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_project_of_the_paper_s_recipe_has_no_key_against_it(device: Any, tmp_path: Path) -> None:
    survey = Survey(["cat"], [], frozenset())
    settings = settings_for(survey, "vgg16", device, 2, "paper")
    places = {"root": ".", "images": "images", "tags": "tags.csv", "masks": "masks", "classes": ["cat"]}
    text = config_text(survey, places, settings, device)
    (run,) = parse_config(yaml.safe_load(text)).datasets.values()
    assert run.recipe_name() == "paper" and run.segmentation.iterations == 60_000 and run.localization.hidden == 1024
    assert run.experiments["multiclass"].fov == "large"
    assert "A key that you write down counts before the recipe" in text


def test_a_project_says_that_its_keys_count_before_a_recipe() -> None:
    survey = Survey(["cat"], [], frozenset())
    settings = settings_for(survey, "timm/tf_efficientnet_lite0", "cpu", 2)
    places = {"root": ".", "images": "images", "tags": "tags.csv", "masks": "masks", "classes": ["cat"]}
    text = config_text(survey, places, settings, "cpu")
    assert "recipe: best" in text and "make a project with tagseg init --recipe paper" in text
    changed = parse_config(yaml.safe_load(text.replace("recipe: best", "recipe: paper")))
    named = changed.datasets["photos"].recipe_name()
    assert named.startswith("paper, but for ") and "segmentation.iterations" in named


def result(**facts: str) -> Result:
    matrix = ConfusionMatrix(2)
    matrix.counts += 3
    return Result(facts, ["background", "cat"], 4, matrix)


def test_tables_say_which_recipe_a_row_is_of() -> None:
    one = {"experiment": "multiclass", "smoothing": "none", "mask": "multiclass", "crf": "none", "fov": "small"}
    rows = [result(**one, recipe="best"), result(**{**one, "experiment": "other"}, recipe="paper, but for priors.grid")]
    for table in (miou_table(rows, "voc"), ablation_table(rows, "voc")):
        assert table["recipe"].tolist()[:2] == ["best", "paper, but for priors.grid"]
        assert table.loc[table["source"] == "published", "recipe"].isna().all()
    masks = masks_table([result(prior="fgbg", crf="none", split="train", recipe="paper")], "none")
    assert masks["recipe"].tolist() == ["paper"]
    assert "recipe" not in miou_table([result(**one)], "none")  # of a result made by hand
