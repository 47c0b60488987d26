"""The numbers of crisp boundary detection, and the modes of its public code."""

from dataclasses import dataclass
from typing import Literal

Mode = Literal["speedy", "speedy_public", "accurate_low_res", "accurate_high_res"]
Feature = Literal["color", "var"]
# oriented: a line is as strong as the energy in its own direction; unoriented: as the largest of all directions;
# mean_pb: higra's hierarchy of that name, on the largest of all directions.
Hierarchy = Literal["oriented", "unoriented", "mean_pb"]


@dataclass(frozen=True)
class CrispParameters:
    """Every number of the method that may be varied. Defaults: the mode `speedy`; `MODES` has the others."""

    halvings: int = 1  # the affinity is that of an image halved so often
    features: tuple[Feature, ...] = ("color", "var")
    kernels: int = 5000  # at most, of each density
    bandwidth: float = 0.05  # of the kernels, as part of the features' range
    samples: int = 10_000  # pairs that a forest learns PMI from
    trees: int = 4
    split_features: int = 3  # tried at each split
    smallest_leaf: int = 5  # samples
    # Of the cut, the constant one not counted. The public code takes 99; on 20 training photographs of BSDS500 fewer
    # draw better boundaries (`docs/results.md`), and 60 keep what makes its energy, to a correlation of .97.
    eigenvectors: int = 60
    decimations: int = 2  # of the affinity before its eigenvectors are sought; 0: exact
    hierarchy: Hierarchy = "oriented"
    longest_side: int = 1000  # pixels; a larger image is made smaller first, and its result larger again
    # The energy that is one at the logistic's input. The public code takes the largest in the data set it is scored
    # on; this is the largest in 20 training photographs of BSDS500, rounded, so that an image's result is its own.
    unit: float = 58.0


MODES: dict[Mode, CrispParameters] = {
    "speedy": CrispParameters(),
    "speedy_public": CrispParameters(eigenvectors=99, unit=61.0),
    "accurate_low_res": CrispParameters(decimations=0, unit=107.0),
    "accurate_high_res": CrispParameters(halvings=0, unit=98.0),
}
