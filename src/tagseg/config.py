"""The configuration: the one place where a key, its default and its meaning are defined.

A configuration holds one block for each data set (`datasets.NAME`), complete in itself: merging another file adds or
changes blocks and never touches a neighbour. The command line takes its options from the same classes, so a key of
the file and a flag of a stage cannot drift apart.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tagseg.crf.parameters import CrfParameters, HigherOrder
from tagseg.regions.parameters import CrispParameters, Mode

_CRF = CrfParameters()
_CRISP = CrispParameters()


class Settings(BaseModel):
    """A group of keys. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ShapesData(Settings):
    """The embedded demo: scenes of textured shapes, made from a seed, with exact masks for evaluation."""

    kind: Literal["shapes"] = "shapes"
    seed: int = Field(0, description="Seed of the world")
    train: int = Field(600, ge=1, description="Training scenes")
    val: int = Field(150, ge=1, description="Scenes kept for evaluation")
    size: int = Field(80, ge=48, description="Side of a scene in pixels")


class FolderData(Settings):
    """An own folder: `images/`, `tags.csv` (image,tags[,split]) and, for evaluation only, perhaps `masks/`."""

    kind: Literal["folder"] = "folder"
    root: Path = Field(description="Folder that holds images/, tags.csv and perhaps masks/")
    classes: list[str] = Field([], description="Class names in order, without background; empty: found in the tags")

    @model_validator(mode="after")
    def _no_class_twice(self) -> Self:
        doubled = [name for i, name in enumerate(self.classes) if name in self.classes[:i]]
        if doubled:
            raise ValueError(f"class {doubled[0]!r} is listed twice; name each class once")
        return self


class VocData(Settings):
    """A Pascal VOC devkit tree."""

    kind: Literal["voc"] = "voc"
    root: Path = Field(description="The devkit's VOC2012 folder")
    train: str = Field("train_aug", description="List of training images under ImageSets/Segmentation")
    val: str = Field("val", description="List of evaluation images under ImageSets/Segmentation")
    masks: str = Field("SegmentationClassAug", description="Folder of indexed PNG masks under the root")
    tags: Literal["masks", "annotations"] = Field(
        "masks", description="Where tags come from: the classes in the mask (the paper), or Annotations/*.xml"
    )


class BackboneSettings(Settings):
    """The network pre-trained for recognition that everything starts from."""

    backbone: str = Field("vgg16", description="shapes, vgg16, or timm/NAME")
    weights: str = Field(
        "default",
        description="default (those that come with the backbone), random, a name of the library's, or a file",
    )
    preprocessing: Literal["default", "imagenet", "unit_symmetric", "caffe"] = Field(
        "default", description="What the weights expect; must be named for a VGG-16 file without a classifier"
    )


class MachineSettings(Settings):
    """Where networks run. What is the same for all stages that run one, and changes no more than the last digits."""

    device: Literal["cpu", "cuda"] = Field("cpu", description="Where networks run; cuda without a GPU is an error")
    loaders: int = Field(0, ge=0, description="Threads that decode photographs ahead of a network; 4 with a GPU")
    deterministic: bool = Field(
        True, description="GPU: only algorithms that give the same bytes each time, if a little slower"
    )


class TrainingMachine(MachineSettings):
    """Where a network is trained."""

    checkpoint_every: int = Field(500, ge=0, description="Steps between two checkpoints of a training; 0: none")


class InferenceMachine(MachineSettings):
    """Where a trained network runs."""

    images_at_once: int = Field(1, ge=1, description="Images of one size that a network takes at once; 8 with a GPU")


class SgdSettings(Settings):
    """Stochastic gradient descent; the numbers are those of the paper's 4.2.1."""

    batch: int = Field(1, ge=1, description="Images a step")
    iterations: int = Field(60_000, ge=1, description="Steps")
    learning_rate: float = Field(1e-4, gt=0, description="At the first step")
    head_factor: float = Field(1.0, gt=0, description="The new layers' learning rate over the others'")
    schedule: Literal["step", "poly"] = Field("step", description="step: a tenth after two thirds; poly: power .9")
    momentum: float = Field(0.9, ge=0, lt=1, description="Of the descent")
    weight_decay: float = Field(5e-4, ge=0, description="L2 penalty on the weights")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="bfloat16 or float16: mixed precision, faster on a GPU; losses stay float32"
    )
    channels_last: bool = Field(False, description="Keep the network's tensors channels last, faster on some GPUs")


class LocalizationSettings(SgdSettings):
    """The localization network, trained on tags (the paper's 3.1.2, 4.2.2)."""

    mode: Literal["finetune", "head"] = Field(
        "finetune", description="finetune: the whole network by SGD; head: a linear head on a frozen trunk"
    )
    hidden: int = Field(1024, ge=0, description="Filters of the two new convolutions; 0: linear on the trunk")
    stride: Literal[8, 16, 32] = Field(16, description="Stride of the feature map that CAMs are read from")
    size: int = Field(224, ge=32, description="Training images are resized to size x size")
    batch: int = Field(15, ge=1, description="Images a step")
    iterations: int = Field(60_000, ge=1, description="Steps of SGD (finetune) or at most of L-BFGS (head)")

    @model_validator(mode="before")
    @classmethod
    def _head_is_linear(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("mode") == "head":
            data = {"hidden": 0, **data}
            if data["hidden"]:
                raise ValueError("mode head fits one linear layer: set hidden to 0, or leave it out")
        return data


class ForegroundSettings(Settings):
    """The foreground prior Pf of the mean activations (the paper's 3.1.1)."""

    layers: Literal["scale_each", "raw_sum"] = Field(
        "scale_each",
        description="scale_each: conv4 and conv5 each to [0, 1], then add; raw_sum: add (the paper)",
    )
    scaling: Literal["min_max", "quantile", "otsu"] = Field(
        "otsu",
        description="How Pf comes to [0, 1]: min_max (the paper), 10-95 % quantiles, or Otsu's split at .5",
    )


class FusionSettings(Settings):
    """CAMs and their fusion with Pf (Eqs. 1-5)."""

    cam_threshold: float = Field(0.2, ge=0, le=1, description="B_c = 1 where M_c exceeds this part of its maximum")
    alpha: float = Field(0.5, ge=0, le=1, description="Weight of the foreground prior against the CAM (Eqs. 3, 5)")
    background: Literal["mean", "max"] = Field(
        "max", description="M_0 = 1 - mean over classes of M_c (Eq. 4, the paper), or 1 - max"
    )
    background_classes: Literal["tags", "all"] = Field(
        "tags", description="C of Eq. 4: the image's own tags, or all classes of the data set"
    )
    normalise: bool = Field(False, description="Scale the maps of a pixel to sum to one (the paper)")


class PriorSettings(ForegroundSettings, FusionSettings):
    """Probability maps: fgbg, localization, multiclass."""

    grid: int = Field(4, ge=1, le=8, description="Maps are stored at 1/grid of the image's size")


class CrfSettings(Settings):
    """Dense CRF (Eqs. 6-8): what `CrfParameters` holds, and how maps become energies."""

    mask_gain: float = Field(
        4.0, gt=0, description="Factor on a prior's probabilities inside exp of Eq. 7; 1: the paper"
    )
    score_gain: float = Field(0.5, gt=0, description="Factor on a network's scores before the softmax; 1: the paper")
    iterations: int = Field(_CRF.iterations, ge=1, description="Mean-field steps")
    tolerance: float = Field(
        _CRF.tolerance, ge=0, lt=1, description="Stop once a step moves less of the probability; 0: never"
    )
    gaussian_width: float = Field(_CRF.gaussian_width, gt=0, description="Smoothness kernel: deviation in pixels")
    gaussian_weight: float = Field(_CRF.gaussian_weight, ge=0, description="Smoothness kernel: weight")
    bilateral_width: float = Field(_CRF.bilateral_width, gt=0, description="Appearance kernel: deviation in pixels")
    bilateral_colour: float = Field(
        _CRF.bilateral_colour, gt=0, description="Appearance kernel: deviation in RGB steps"
    )
    bilateral_weight: float = Field(_CRF.bilateral_weight, ge=0, description="Appearance kernel: weight")
    max_pixels: int = Field(_CRF.max_pixels, ge=1, description="Larger images are smoothed at this many pixels")
    higher_order: HigherOrder = Field(
        "robust_pn", description="Cost of a region with several labels: pn_potts (Eq. 8), or robust_pn"
    )
    higher_order_weight: float = Field(_CRF.higher_order_weight, ge=0, description="Factor on the regions' costs")
    gamma_max: float = Field(_CRF.gamma_max, gt=0, description="Largest cost of a region, in nats")
    truncation: float = Field(
        _CRF.truncation, gt=0, le=0.5, description="robust_pn: part of a region that may disagree before the full cost"
    )
    size_exponent: float = Field(
        _CRF.size_exponent, ge=0, le=1, description="robust_pn: costs grow with a region's pixels to this power"
    )


class CrispSettings(Settings):
    """Crisp boundaries of an image ([32])."""

    mode: Mode = Field(
        "speedy",
        description="speedy (speedy_public: as published); accurate_low_res: exact; accurate_high_res: full size",
    )
    longest_side: int = Field(
        _CRISP.longest_side, ge=32, description="Larger images are reduced to this many pixels for it"
    )
    seed: int = Field(0, ge=0, description="Seed of the pairs of pixels that are sampled")


class RegionSettings(CrispSettings):
    """Regions for the CRF's higher-order terms (the paper's 3.1.3)."""

    threshold: float = Field(0.1, ge=0, le=1, description="Lines of the contour map up to this strength vanish")


class SegmentationSettings(SgdSettings):
    """Training of the score network (the paper's 3.2 and 4.2.1)."""

    stride: Literal[8, 16] = Field(8, description="Stride of the score map")
    size: int = Field(0, ge=0, description="Longer side that training images are resized to; 0: their own size")
    lse_r: float = Field(0.1, gt=0, description="r of the log-sum-exp pooling (Eq. 11); the paper: 5")
    flip: bool = Field(True, description="Mirror half of the training images")


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

    data: Annotated[ShapesData | FolderData | VocData, Field(discriminator="kind")]
    shards: int = Field(8, ge=1, le=999, description="Pieces that the data set is cut into; one job each")
    seed: int = Field(0, ge=0, description="Seed of training and initialisation")
    network: BackboneSettings = BackboneSettings()
    localization: LocalizationSettings = LocalizationSettings()
    priors: PriorSettings = PriorSettings()
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
    panels: int = Field(12, ge=1, description="Images on the panel picture")
    published: Literal["none", "voc", "yto", "coco"] = Field(
        "none", description="Published rows to set beside the run's own, where the data set is the paper's"
    )

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


class Config(TrainingMachine, InferenceMachine):
    """The whole file."""

    default: str = Field("shapes", description="Data set that a bare `snakemake` makes")
    datasets: dict[str, DatasetConfig] = Field(description="One block for each data set")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.default not in self.datasets:
            raise ValueError(f"default names {self.default!r}, which is not among datasets: {', '.join(self.datasets)}")
        for name in self.datasets:
            if not name.replace("_", "").isalnum():
                raise ValueError(f"data set name {name!r}: use letters, digits and _ only (it becomes a folder)")
        return self


# The settings that each prior's maps depend on: a change of any other key leaves them as they are.
_BACKGROUND = frozenset({"background", "background_classes", "normalise"})
PRIOR_KEYS: dict[str, frozenset[str]] = {
    "fgbg": frozenset(ForegroundSettings.model_fields) | {"grid"},
    "localization": _BACKGROUND | {"grid"},
    "multiclass": frozenset(PriorSettings.model_fields),
}
# The picture of regions shows several thresholds: it depends on all settings but that one.
CRISP_KEYS = frozenset(CrispSettings.model_fields)
# Masks are smoothed from probabilities, predictions from scores: each has a gain of its own.
MASK_CRF_KEYS = frozenset(CrfSettings.model_fields) - {"score_gain"}
PREDICTION_CRF_KEYS = frozenset(CrfSettings.model_fields) - {"mask_gain"}
HIGHER_ORDER_KEYS = frozenset({"higher_order", "higher_order_weight", "gamma_max", "truncation", "size_exponent"})
# The localization settings that count when a linear head is fitted on a frozen trunk: no step of SGD is made.
LOCALIZATION_HEAD_KEYS = frozenset({"mode", "hidden", "stride", "iterations", "weight_decay"})
TRAINING_KEYS = frozenset(TrainingMachine.model_fields)
INFERENCE_KEYS = frozenset(InferenceMachine.model_fields)
