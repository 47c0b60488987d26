"""Keys of mask making: priors, their second round, regions and the dense CRF."""

from typing import Literal

from pydantic import Field

from tagseg.config.data import Settings
from tagseg.crf.parameters import CrfParameters, HigherOrder, RegionProbability
from tagseg.regions.modes import CrispParameters, Mode

_CRF = CrfParameters()
_CRISP = CrispParameters()


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
    fgbg_centre: float = Field(
        0.7,
        ge=0,
        description="Deviation, in half sides, of a Gaussian about the middle that Pf is multiplied by where no CAM "
        "says where to look (prior fgbg); 0: none (the paper)",
    )


class FusionSettings(Settings):
    """CAMs and their fusion with Pf (Eqs. 1-5)."""

    cam_threshold: float = Field(0.2, ge=0, le=1, description="B_c = 1 where M_c exceeds this part of its maximum")
    alpha: float = Field(0.5, ge=0, le=1, description="Weight of the foreground prior against the CAM (Eqs. 3, 5)")
    background: Literal["mean", "max"] = Field(
        "max", description="M_0 = 1 - mean over classes of M_c (Eq. 4, the paper), or 1 - max"
    )
    background_power: float = Field(
        2.0, gt=0, description="M_0 to this power; above 1, doubt goes to the classes (the paper: 1)"
    )
    background_classes: Literal["tags", "all"] = Field(
        "tags", description="C of Eq. 4: the image's own tags, or all classes of the data set"
    )
    normalise: bool = Field(False, description="Scale the maps of a pixel to sum to one (the paper)")


class PriorSettings(ForegroundSettings, FusionSettings):
    """Probability maps: fgbg, localization, multiclass."""

    grid: int = Field(4, ge=1, le=8, description="Maps are stored at 1/grid of the image's size")


class SampleSettings(Settings):
    """Pixels that the second round learns from."""

    pixels: int = Field(600, ge=2, description="Pixels of a photograph to learn from, shared among its labels")
    most_pixels: int = Field(200_000, ge=2, description="Pixels of all photographs; of more, each gives fewer")
    confidence: float = Field(0.7, ge=0, lt=1, description="Least probability, after a CRF, of a pixel to learn from")
    crf_pixels: int = Field(50_000, ge=1000, description="That CRF smooths a photograph at this many pixels")


class RegressionSettings(Settings):
    """The second round's regression."""

    decay: float = Field(0.1, ge=0, description="L2 penalty of the regression")
    iterations: int = Field(60, ge=1, description="Steps of L-BFGS")


class RefitSettings(SampleSettings, RegressionSettings):
    """The second round: what a pixel is, learned over all photographs from the first round's masks."""

    priors: list[Literal["fgbg", "localization", "multiclass"]] = Field(
        ["fgbg", "multiclass"], description="Priors that have a second round; none: [] (the paper)"
    )
    weight: float = Field(0.5, gt=0, le=1, description="Its weight against the first round's maps")


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
    region_probability: RegionProbability = Field(
        "softmax",
        description="P of Eq. 8. map: the map itself (the paper), a network's softmax; softmax: Eq. 7's, with its gain",
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
