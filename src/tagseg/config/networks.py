"""The keys of networks: which they are, where they run, how they are trained."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from tagseg.config.data import Settings
from tagseg.networks.sources import weight_file

EngineName = Literal["auto", "torch", "onnxruntime"]


class BackboneSettings(Settings):
    """The network, pre-trained for image classification, that everything starts from."""

    backbone: str = Field("vgg16", description="shapes, vgg16, or timm/NAME")
    weights: str = Field(
        "default",
        description="default (those that come with the backbone), random, the library's name of others, or a file",
    )
    preprocessing: Literal["default", "imagenet", "unit_symmetric", "caffe"] = Field(
        "default", description="Input that the weights expect; must be set for a VGG-16 file without a classifier"
    )

    @property
    def weight_file(self) -> Path | None:
        """The user's own file that the weights are read from; None if they come from a library."""
        return weight_file(self.backbone, self.weights)


class ViewSettings(Settings):
    """Views of a photograph, its scales and mirror images, that activations, CAMs and the second round average over."""

    scales: list[float] = Field(
        [0.5, 1.0, 1.5], min_length=1, description="Scales of the photograph; 1 is its own size (the paper: 1 alone)"
    )
    mirror: bool = Field(True, description="Average over the mirror image, too (the paper: no)")
    stride: Literal[0, 8, 16, 32] = Field(
        16,
        description="Stride of the maps; 0: the trunk's own (the paper). CAMs of a fine-tuned network have the stride "
        "that it was trained at, localization.stride",
    )

    @field_validator("scales")
    @classmethod
    def _sizes(cls, scales: list[float]) -> list[float]:
        for scale in scales:
            if not 0 < scale <= 4:
                raise ValueError(f"scale {scale}: give sizes above 0 and up to 4 times the photograph's own")
        return scales


class MachineSettings(Settings):
    """Where networks run: the same for all stages that run one, and of effect on the last digits at most."""

    device: Literal["cpu", "cuda"] = Field("cpu", description="Where networks run; cuda without a GPU is an error")
    loaders: int = Field(0, ge=0, description="Threads that decode photographs ahead of the network; 4 with a GPU")
    deterministic: bool = Field(
        True, description="On a GPU, use deterministic algorithms only, which are a little slower"
    )


class TrainingMachine(MachineSettings):
    """Where a network is trained."""

    checkpoint_every: int = Field(500, ge=0, description="Steps between checkpoints of a training; 0: none")


class InferenceMachine(MachineSettings):
    """Where a trained network runs."""

    images_at_once: int = Field(1, ge=1, description="Images of the same size per forward pass; 8 with a GPU")
    engine: EngineName = Field(
        "auto",
        description="What runs it: torch; onnxruntime, on a CPU alone and about twice as fast; auto: onnxruntime where "
        "it gives what torch gives",
    )


class FeatureDisk(Settings):
    """Where the frozen trunk's maps go, on the way from the photographs to the masks."""

    features_gb: float = Field(
        50,
        ge=0,
        description="Most GB on the disk for the trunk's maps of all photographs (4 MB each for EfficientNet-Lite0); "
        "where they take more, or the disk has less, the trunk runs again in each stage that needs them",
    )


class SgdSettings(Settings):
    """Stochastic gradient descent; the numbers are those of the paper's 4.2.1."""

    batch: int = Field(1, ge=1, description="Images per step")
    iterations: int = Field(60_000, ge=1, description="Training steps")
    learning_rate: float = Field(1e-4, gt=0, description="Initial learning rate")
    head_factor: float = Field(1.0, gt=0, description="Learning rate of the new layers over that of the others")
    schedule: Literal["step", "poly"] = Field(
        "step",
        description="Learning rate. step: a tenth after two thirds; poly: decays to 0 with power .9",
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of SGD")
    weight_decay: float = Field(5e-4, ge=0, description="L2 penalty on the weights")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="bfloat16 or float16: mixed precision, faster on a GPU; losses stay float32"
    )
    channels_last: bool = Field(True, description="Use the channels-last memory format: faster almost everywhere")


class LocalizationHeadSettings(Settings):
    """The keys that count when a linear head is fitted on a frozen trunk, without SGD."""

    mode: Literal["finetune", "head"] = Field(
        "finetune", description="finetune: the whole network by SGD; head: a linear head on a frozen trunk"
    )
    hidden: int = Field(
        1024,
        ge=0,
        description="Filters of the two new convolutions (not given in the paper); 0: a linear layer on the trunk",
    )
    iterations: int = Field(60_000, ge=1, description="Steps of SGD (finetune), or L-BFGS iterations at most (head)")
    weight_decay: float = Field(5e-4, ge=0, description="L2 penalty on the weights")
    rows: Literal["trained", "shared", "summed"] = Field(
        "summed",
        description="mode head: the weights in Eq. 1. trained: the head's (the paper); shared: the pre-trained "
        "classifier's, for classes that it knows; summed: both, each scaled to norm 1",
    )

    @model_validator(mode="before")
    @classmethod
    def _head_is_linear(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("mode") == "head":
            data = {"hidden": 0, **data}
            if data["hidden"]:
                raise ValueError("mode head fits one linear layer: set hidden to 0, or leave it out")
        return data


class LocalizationSettings(LocalizationHeadSettings, SgdSettings):
    """The localization network, trained on tags (the paper's 3.1.2, 4.2.2)."""

    stride: Literal[8, 16, 32] = Field(
        16,
        description="mode finetune: stride of the feature map that CAMs are computed from (not given in the paper); a "
        "head reads the maps of views.stride",
    )
    size: int = Field(224, ge=32, description="Training images are resized to size x size")
    batch: int = Field(15, ge=1, description="Images per step")
    reduction: Literal["mean", "sum"] = Field(
        "sum",
        description="mode finetune: reduction of the cross entropy over classes. sum: as in Caffe's layer (the paper); "
        "mean: gradients are smaller by the number of classes",
    )

    def for_mode(self) -> Settings:
        """The keys that a training in this mode depends on."""
        return self.part(LocalizationHeadSettings) if self.mode == "head" else self


class SegmentationSettings(SgdSettings):
    """Training of the score network (the paper's 3.2 and 4.2.1)."""

    stride: Literal[8, 16] = Field(8, description="Stride of the score map")
    size: int = Field(0, ge=0, description="Longer side that training images are resized to; 0: keep their size")
    lse_r: float = Field(0.1, gt=0, description="r of the log-sum-exp pooling (Eq. 11); the paper: 5")
    flip: bool = Field(True, description="Mirror half of the training images")
