"""The keys of mask making: priors, their second round, regions and the dense CRF."""

from typing import Literal, get_args

from pydantic import Field

from tagseg.config.data import Settings
from tagseg.crf.parameters import CrfParameters, HigherOrder
from tagseg.regions.modes import CrispParameters, Mode

Prior = Literal["fgbg", "localization", "multiclass"]
Crf = Literal["none", "pairwise", "higher_order"]
PRIORS: tuple[Prior, ...] = get_args(Prior)
CRFS: tuple[Crf, ...] = get_args(Crf)
RegionProbability = Literal["map", "softmax"]
MapKind = Literal["probabilities", "scores"]  # a prior's maps, or a network's before the softmax

_CRF = CrfParameters()
_CRISP = CrispParameters()


class GridSettings(Settings):
    """Resolution of stored probability maps."""

    grid: int = Field(4, ge=1, le=8, description="Maps are stored at 1/grid of the image's resolution")


class ForegroundSettings(Settings):
    """The foreground prior Pf from mean activations (the paper's 3.1.1)."""

    layers: Literal["scale_each", "raw_sum"] = Field(
        "scale_each",
        description="scale_each: conv4 and conv5 are each scaled to [0, 1], then added; raw_sum: added (the paper)",
    )
    scaling: Literal["min_max", "quantile", "otsu"] = Field(
        "otsu",
        description="Scaling of Pf to [0, 1]: min_max (the paper), quantile (10-95 %), or otsu (its threshold at .5)",
    )


class BackgroundSettings(Settings):
    """The background's map M_0, derived from those of the classes (Eq. 4)."""

    background: Literal["mean", "max"] = Field(
        "max", description="M_0 = 1 - mean over classes of M_c (Eq. 4, the paper), or 1 - max"
    )
    background_power: float = Field(
        2.0, gt=0, description="M_0 is raised to this power; above 1, uncertain pixels go to the classes (the paper: 1)"
    )
    background_classes: Literal["tags", "all"] = Field(
        "tags", description="C of Eq. 4: the image's tags, or all classes of the data set"
    )
    normalise: bool = Field(False, description="Normalise the maps to sum to one at each pixel (the paper)")


class FgbgSettings(ForegroundSettings, GridSettings):
    """The prior fgbg: foreground against background, without CAMs."""

    fgbg_centre: float = Field(
        0.7,
        ge=0,
        description="Standard deviation, in half sides, of a Gaussian centred on the image that Pf is multiplied by in "
        "the prior fgbg, which has no CAM; 0: none (the paper)",
    )


class LocalizationPriorSettings(BackgroundSettings, GridSettings):
    """The prior localization: CAMs alone (Eq. 1)."""


class MulticlassSettings(ForegroundSettings, BackgroundSettings, GridSettings):
    """The prior multiclass: CAMs fused with Pf (Eqs. 2-5)."""

    cam_threshold: float = Field(0.2, ge=0, le=1, description="B_c = 1 where M_c exceeds this fraction of its maximum")
    alpha: float = Field(0.5, ge=0, le=1, description="Weight of the foreground prior against the CAM (Eqs. 3, 5)")


class PriorSettings(FgbgSettings, LocalizationPriorSettings, MulticlassSettings):
    """The probability maps: priors fgbg, localization and multiclass."""


# The keys that a prior's maps depend on: a change of any other key leaves them as they are.
PRIOR_SETTINGS: dict[Prior, type[Settings]] = {
    "fgbg": FgbgSettings,
    "localization": LocalizationPriorSettings,
    "multiclass": MulticlassSettings,
}


class SampleSettings(Settings):
    """The pixels that the second round learns from."""

    pixels: int = Field(600, ge=2, description="Training pixels per photograph, shared among its labels")
    most_pixels: int = Field(
        200_000, ge=2, description="Training pixels in all; each photograph gives fewer beyond that"
    )
    confidence: float = Field(0.7, ge=0, lt=1, description="Smallest probability, after a CRF, of a training pixel")
    crf_pixels: int = Field(50_000, ge=1000, description="Resolution, in pixels, at which that CRF runs")


class RegressionSettings(Settings):
    """The second round's regression."""

    decay: float = Field(0.1, ge=0, description="L2 penalty of the regression")
    iterations: int = Field(60, ge=1, description="Iterations of L-BFGS")


class WeightSettings(Settings):
    """How the maps of both rounds are combined."""

    weight: float = Field(0.5, gt=0, le=1, description="Weight of the second round's maps against the first round's")


class SecondRoundSettings(SampleSettings, RegressionSettings, WeightSettings):
    """The second round: a pixel classifier, learned from the first round's masks of all photographs."""

    priors: list[Prior] = Field(
        ["fgbg", "multiclass"], description="Priors with a second round; [] for none (the paper)"
    )


class PairwiseSettings(Settings):
    """The dense CRF's inference and its two kernels (Eq. 6)."""

    iterations: int = Field(_CRF.iterations, ge=1, description="Mean-field iterations")
    tolerance: float = Field(
        _CRF.tolerance, ge=0, lt=1, description="Stop once an iteration moves less probability mass than this; 0: never"
    )
    gaussian_width: float = Field(
        _CRF.gaussian_width, gt=0, description="Smoothness kernel: standard deviation in pixels"
    )
    gaussian_weight: float = Field(_CRF.gaussian_weight, ge=0, description="Smoothness kernel: weight")
    bilateral_width: float = Field(_CRF.bilateral_width, gt=0, description="Appearance kernel: deviation in pixels")
    bilateral_colour: float = Field(
        _CRF.bilateral_colour, gt=0, description="Appearance kernel: deviation in colour values, of 0 to 255"
    )
    bilateral_weight: float = Field(_CRF.bilateral_weight, ge=0, description="Appearance kernel: weight")
    max_pixels: int = Field(_CRF.max_pixels, ge=1, description="Larger images are reduced to this many pixels")


class HigherOrderSettings(Settings):
    """The dense CRF's higher-order terms over regions (Eq. 8)."""

    higher_order: HigherOrder = Field(
        "robust_pn", description="Cost of a region with several labels: pn_potts (Eq. 8), or robust_pn"
    )
    region_probability: RegionProbability = Field(
        "softmax",
        description="P of Eq. 8. map: the map (the paper), or a network's softmax; softmax: Eq. 7's, with its gain",
    )
    higher_order_weight: float = Field(_CRF.higher_order_weight, ge=0, description="Weight of the regions' costs")
    gamma_max: float = Field(_CRF.gamma_max, gt=0, description="Largest cost of a region, in nats")
    truncation: float = Field(
        _CRF.truncation,
        gt=0,
        le=0.5,
        description="robust_pn: fraction of a region that may disagree before the full cost",
    )
    size_exponent: float = Field(
        _CRF.size_exponent, ge=0, le=1, description="robust_pn: costs grow with a region's size in pixels to this power"
    )


class PairwiseMaskSettings(PairwiseSettings):
    """A pairwise CRF on a prior's probabilities."""

    mask_gain: float = Field(
        4.0, gt=0, description="Factor on a prior's probabilities inside exp of Eq. 7; 1: the paper"
    )


class PairwisePredictionSettings(PairwiseSettings):
    """A pairwise CRF on a network's scores."""

    score_gain: float = Field(0.5, gt=0, description="Factor on a network's scores before the softmax; 1: the paper")


class MaskCrfSettings(PairwiseMaskSettings, HigherOrderSettings):
    """A CRF with higher-order terms on a prior's probabilities."""


class PredictionCrfSettings(PairwisePredictionSettings, HigherOrderSettings):
    """A CRF with higher-order terms on a network's scores."""


class CrfSettings(MaskCrfSettings, PredictionCrfSettings):
    """The dense CRF (Eqs. 6-8): its parameters, and how maps become energies."""


# The keys that label maps depend on: none without a CRF, and none of the higher-order terms with a pairwise one.
CRF_SETTINGS: dict[tuple[MapKind, Crf], type[Settings]] = {
    ("probabilities", "none"): Settings,
    ("probabilities", "pairwise"): PairwiseMaskSettings,
    ("probabilities", "higher_order"): MaskCrfSettings,
    ("scores", "none"): Settings,
    ("scores", "pairwise"): PairwisePredictionSettings,
    ("scores", "higher_order"): PredictionCrfSettings,
}


class CrispSettings(Settings):
    """Crisp boundaries of an image ([32])."""

    mode: Mode = Field(
        "speedy",
        description="speedy; speedy_public: as published; accurate_low_res: exact eigenvectors; accurate_high_res: at "
        "full size",
    )
    longest_side: int = Field(
        _CRISP.longest_side, ge=32, description="Images whose longer side has more pixels are reduced to this"
    )
    seed: int = Field(0, ge=0, description="Seed of the pixel pairs that are sampled")


class RegionSettings(CrispSettings):
    """Regions for the CRF's higher-order terms (the paper's 3.1.3)."""

    threshold: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Contours up to this strength are removed, merging regions (the paper gives none; .1: the public "
        "code's demo)",
    )
