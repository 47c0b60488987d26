"""The configuration: the one place where a key, its default and its meaning are defined.

A configuration holds one block for each data set (`datasets.NAME`), complete in itself: merging another file adds or
changes blocks without affecting the others. The command line takes its options from the same classes, so a key of the
file and a flag of a stage cannot drift apart.
"""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tagseg.config.data import Data, Settings
from tagseg.config.masks import PRIORS, Crf, CrfSettings, Prior, PriorSettings, RegionSettings, SecondRoundSettings
from tagseg.config.networks import (
    BackboneSettings,
    FeatureDisk,
    InferenceMachine,
    LocalizationSettings,
    SegmentationSettings,
    TrainingMachine,
    ViewSettings,
)
from tagseg.config.recipes import PAPER, Recipe, departures, filled

Mask = Literal["none", "fgbg", "localization", "multiclass"]
Fov = Literal["small", "large"]


class Experiment(Settings):
    """One row of the ablation (Table 6): which masks, which CRF, which field of view."""

    mask: Mask = Field(description="Masks in the loss: none (Eq. 10), fgbg (Eq. 12), localization, multiclass (Eq. 15)")
    crf: Crf = Field("pairwise", description="CRF applied to the masks and the predictions")
    fov: Fov = Field("small", description="Field of view of the score network's head")


def _table6() -> dict[str, Experiment]:
    return {
        "tags": Experiment(mask="none"),
        "fgbg": Experiment(mask="fgbg"),
        "localization": Experiment(mask="localization"),
        "multiclass": Experiment(mask="multiclass"),
        "multiclass_large": Experiment(mask="multiclass", fov="large"),
    }


class DatasetConfig(Settings):
    """All settings of a run on one data set."""

    recipe: Recipe = Field(
        "best",
        description="Defaults of keys that are not given: best, as measured, or paper, where the paper states a value",
    )
    data: Data
    shards: int = Field(8, ge=1, le=999, description="Number of shards that the data set is split into; one job each")
    seed: int = Field(0, ge=0, description="Seed of training and initialisation")
    network: BackboneSettings = BackboneSettings()
    views: ViewSettings = ViewSettings()
    localization: LocalizationSettings = LocalizationSettings()
    priors: PriorSettings = PriorSettings()
    second_round: SecondRoundSettings = SecondRoundSettings()
    crf: CrfSettings = CrfSettings()
    regions: RegionSettings = RegionSettings()
    segmentation: SegmentationSettings = SegmentationSettings()
    experiments: dict[str, Experiment] = Field(default_factory=_table6, description="Rows of ablation.csv, by name")
    headline: list[str] = Field(
        ["tags", "fgbg", "multiclass_large"], min_length=1, description="Experiments of miou.csv"
    )
    masks_table: list[Prior] = Field(list(PRIORS), min_length=1, description="Priors whose masks masks.csv evaluates")
    compare: list[str] = Field(
        [], description="Other blocks of the same photographs, whose class masks recipes.png shows beside this one's"
    )
    panels: int = Field(12, ge=1, description="Number of images on panels.png")
    published: Literal["none", "voc", "yto", "coco"] = Field(
        "none", description="Published results to list beside the run's own, if the data set is one of the paper's"
    )
    submission: Literal["test", "val"] = Field(
        "test", description="Split that submission.tar.gz holds: test for the evaluation server, or val to try it out"
    )

    @model_validator(mode="before")
    @classmethod
    def _recipe(cls, data: Any) -> Any:
        return filled(data) if isinstance(data, dict) and data.get("recipe") == "paper" else data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in self.headline:
            if name not in self.experiments:
                raise ValueError(
                    f"headline names {name!r}, which is not among experiments: {', '.join(self.experiments)}"
                )
        for name in self.experiments:
            if not name.replace("_", "").isalnum():
                raise ValueError(f"experiment name {name!r}: use letters, digits and _ only (it becomes a folder)")
        return self

    def recipe_name(self) -> str:
        """The recipe as tables name it; for the paper's, with the keys that this block sets to other values."""
        if self.recipe != "paper":
            return self.recipe
        own = departures(self.model_dump(include=set(PAPER)))
        return f"paper, but for {', '.join(own)}" if own else "paper"


class Config(TrainingMachine, InferenceMachine, FeatureDisk):
    """The whole configuration file."""

    default: str = Field("shapes", description="Data set that `snakemake` runs on when no target is given")
    keep_maps: bool = Field(
        True,
        description="Keep activations, the trunk's maps, CAMs, probability maps and scores. false: delete each once "
        "the run has made everything from it, to save disk space on a large data set; a later run makes it again",
    )
    datasets: dict[str, DatasetConfig] = Field(description="One block for each data set")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.default not in self.datasets:
            raise ValueError(f"default names {self.default!r}, which is not among datasets: {', '.join(self.datasets)}")
        for name, run in self.datasets.items():
            for other in run.compare:
                if other not in self.datasets:
                    raise ValueError(f"datasets.{name}.compare names {other!r}, which is not among datasets")
            if not name.replace("_", "").isalnum():
                raise ValueError(f"data set name {name!r}: use letters, digits and _ only (it becomes a folder)")
        return self
