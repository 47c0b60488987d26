"""The configuration: the one place where a key, its default and its meaning are defined.

A configuration holds one block for each data set (`datasets.NAME`), complete in itself: merging another file adds or
changes blocks and never touches a neighbour. The command line takes its options from the same classes, so a key of
the file and a flag of a stage cannot drift apart.
"""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tagseg.config.data import CocoData, Data, FolderData, Settings, ShapesData, VocData, YoutubeObjectsData
from tagseg.config.masks import (
    CrfSettings,
    CrispSettings,
    ForegroundSettings,
    FusionSettings,
    PriorSettings,
    RefitSettings,
    RegionSettings,
    RegressionSettings,
    SampleSettings,
)
from tagseg.config.networks import (
    BackboneSettings,
    InferenceMachine,
    LocalizationSettings,
    MachineSettings,
    SegmentationSettings,
    SgdSettings,
    TrainingMachine,
    ViewSettings,
)
from tagseg.config.recipes import PAPER, departures, filled

__all__ = [
    "CRISP_KEYS",
    "HIGHER_ORDER_KEYS",
    "INFERENCE_KEYS",
    "LOCALIZATION_HEAD_KEYS",
    "MASK_CRF_KEYS",
    "PAPER",
    "PREDICTION_CRF_KEYS",
    "PRIOR_KEYS",
    "REFIT_KEYS",
    "SAMPLE_KEYS",
    "TRAINING_KEYS",
    "BackboneSettings",
    "CocoData",
    "Config",
    "Crf",
    "CrfSettings",
    "CrispSettings",
    "Data",
    "DatasetConfig",
    "Experiment",
    "FolderData",
    "ForegroundSettings",
    "FusionSettings",
    "InferenceMachine",
    "LocalizationSettings",
    "MachineSettings",
    "Mask",
    "Prior",
    "PriorSettings",
    "RefitSettings",
    "RegionSettings",
    "RegressionSettings",
    "SampleSettings",
    "SegmentationSettings",
    "Settings",
    "SgdSettings",
    "ShapesData",
    "TrainingMachine",
    "ViewSettings",
    "VocData",
    "YoutubeObjectsData",
]  # what other modules take from here, wherever it is defined


Prior = Literal["fgbg", "localization", "multiclass"]
Mask = Literal["none", "fgbg", "localization", "multiclass"]
Crf = Literal["none", "pairwise", "higher_order"]


class Experiment(Settings):
    """One row of the ablation (Table 6): which masks, which CRF, which field of view."""

    mask: Mask = Field(description="Masks of the loss: none (Eq. 10), fgbg (Eq. 12), localization, multiclass (Eq. 15)")
    crf: Crf = Field("pairwise", description="CRF that smooths the masks and the predictions")
    fov: Literal["small", "large"] = Field("small", description="Field of view of the score network's head")


def _table6() -> dict[str, Experiment]:
    return {
        "tags": Experiment(mask="none"),
        "fgbg": Experiment(mask="fgbg"),
        "localization": Experiment(mask="localization"),
        "multiclass": Experiment(mask="multiclass"),
        "multiclass_large": Experiment(mask="multiclass", fov="large"),
    }


class DatasetConfig(Settings):
    """Everything about the run on one data set."""

    recipe: Literal["best", "paper"] = Field(
        "best",
        description="Values of the keys that are not given: what measured best, or the paper's where it speaks of one",
    )
    data: Data
    shards: int = Field(8, ge=1, le=999, description="Pieces that the data set is cut into; one job each")
    seed: int = Field(0, ge=0, description="Seed of training and initialisation")
    network: BackboneSettings = BackboneSettings()
    views: ViewSettings = ViewSettings()
    localization: LocalizationSettings = LocalizationSettings()
    priors: PriorSettings = PriorSettings()
    refit: RefitSettings = RefitSettings()
    crf: CrfSettings = CrfSettings()
    regions: RegionSettings = RegionSettings()
    segmentation: SegmentationSettings = SegmentationSettings()
    experiments: dict[str, Experiment] = Field(default_factory=_table6, description="Rows of ablation.csv, by name")
    headline: list[str] = Field(
        ["tags", "fgbg", "multiclass_large"], min_length=1, description="Experiments of miou.csv"
    )
    masks_table: list[Prior] = Field(
        ["fgbg", "localization", "multiclass"], min_length=1, description="Priors whose masks masks.csv evaluates"
    )
    compare: list[str] = Field(
        [], description="Blocks of the same photographs whose class masks recipes.png sets beside this one's"
    )
    panels: int = Field(12, ge=1, description="Images on the panel picture")
    published: Literal["none", "voc", "yto", "coco"] = Field(
        "none", description="Published rows to set beside the run's own, where the data set is the paper's"
    )

    submission: Literal["test", "val"] = Field(
        "test", description="Split of submission.tar.gz: the test server's images, or, to try it out, val"
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
        """The recipe as tables name it: of the paper's, also the keys that this block sets otherwise."""
        if self.recipe != "paper":
            return self.recipe
        own = departures(self.model_dump(include=set(PAPER)))
        return f"paper, but for {', '.join(own)}" if own else "paper"


class Config(TrainingMachine, InferenceMachine):
    """The whole file."""

    default: str = Field("shapes", description="Data set that a bare `snakemake` makes")
    keep_maps: bool = Field(
        True,
        description="Keep activations, CAMs, probability maps and scores. false: each goes once all that the run makes "
        "of it is there, which a large data set needs; what later reads it makes it again",
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


# The settings that each prior's maps depend on: a change of any other key leaves them as they are.
_BACKGROUND = frozenset({"background", "background_power", "background_classes", "normalise"})
PRIOR_KEYS: dict[str, frozenset[str]] = {
    "fgbg": frozenset(ForegroundSettings.model_fields) | {"grid"},
    "localization": _BACKGROUND | {"grid"},
    "multiclass": frozenset(PriorSettings.model_fields) - {"fgbg_centre"},
}
# The second round's settings that count before its regression is fitted, in fitting it, and in using it.
SAMPLE_KEYS = frozenset(SampleSettings.model_fields)
REFIT_KEYS = frozenset(RegressionSettings.model_fields)
# The picture of regions shows several thresholds: it depends on all settings but that one.
CRISP_KEYS = frozenset(CrispSettings.model_fields)
# Masks are smoothed from probabilities, predictions from scores: each has a gain of its own.
MASK_CRF_KEYS = frozenset(CrfSettings.model_fields) - {"score_gain"}
PREDICTION_CRF_KEYS = frozenset(CrfSettings.model_fields) - {"mask_gain"}
HIGHER_ORDER_KEYS = frozenset(
    {"higher_order", "region_probability", "higher_order_weight", "gamma_max", "truncation", "size_exponent"}
)
# The localization settings that count when a linear head is fitted on a frozen trunk: no step of SGD is made.
LOCALIZATION_HEAD_KEYS = frozenset({"mode", "hidden", "stride", "iterations", "weight_decay", "rows"})
TRAINING_KEYS = frozenset(TrainingMachine.model_fields)
INFERENCE_KEYS = frozenset(InferenceMachine.model_fields)
