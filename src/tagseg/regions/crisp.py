"""Crisp boundaries and regions of an image: the steps of Isola et al. 2014, in order.

P. Isola, D. Zoran, D. Krishnan, E. Adelson: Crisp Boundary Detection Using Pointwise Mutual Information, ECCV 2014,
and the modes of its public code.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from PIL import Image

from tagseg.regions.affinity import fit_pmi_forest, forest_affinity
from tagseg.regions.cuts import normalised_cuts
from tagseg.regions.density import fit_density
from tagseg.regions.features import Feature, crisp_features, resize
from tagseg.regions.forest import Forest
from tagseg.regions.hierarchy import Hierarchy, RegionTree, region_tree
from tagseg.regions.oriented import oriented_energy, suppress_border

Mode = Literal["speedy", "accurate_low_res", "accurate_high_res"]


@dataclass(frozen=True)
class CrispParameters:
    """Every number of the method. Defaults are the public code's *speedy* mode; `MODES` names the others."""

    halvings: int = 1  # the affinity is of an image halved so often
    features: tuple[Feature, ...] = ("color", "var")
    kernels: int = 5000  # of each density estimate
    bandwidth: float = 0.05  # of its kernels, in units of the features' range
    samples: int = 10_000  # pairs that a forest learns PMI from
    trees: int = 4
    split_features: int = 3  # tried at each split
    smallest_leaf: int = 5  # samples
    eigenvectors: int = 99  # of the cut, without the constant one
    decimations: int = 2  # of the affinity before its eigenvectors are sought; 0: exact
    hierarchy: Hierarchy = "oriented"
    longest_side: int = 1000  # pixels; a larger image is made smaller first, its result larger again
    # Energy that counts as one before the logistic: the largest in the 20 BSDS training photographs at hand.
    unit: float = 37.5


MODES: dict[Mode, CrispParameters] = {
    "speedy": CrispParameters(),
    "accurate_low_res": CrispParameters(decimations=0),
    "accurate_high_res": CrispParameters(halvings=0),
}
