"""Parameters of crisp boundary detection, and the modes of its public code."""

from dataclasses import dataclass
from typing import Literal

Mode = Literal["speedy", "speedy_public", "accurate_low_res", "accurate_high_res"]
Feature = Literal["color", "var"]
# Strength of a boundary. oriented: energy in the boundary's own direction; unoriented: maximum over all directions;
# mean_pb: higra's hierarchy of that name, on the maximum over all directions.
Hierarchy = Literal["oriented", "unoriented", "mean_pb"]


@dataclass(frozen=True)
class CrispParameters:
    """All parameters of the method. The defaults are those of mode `speedy`; for others see `MODES`."""

    halvings: int = 1  # how often the image is halved before features are computed
    features: tuple[Feature, ...] = ("color", "var")
    kernels: int = 5000  # of each density, at most
    bandwidth: float = 0.05  # of the kernels, as a fraction of the range of the features
    samples: int = 10_000  # pairs to which a forest is fitted
    trees: int = 4
    split_features: int = 3  # features tried at each split
    smallest_leaf: int = 5  # samples
    # Non-constant eigenvectors of the normalised cut. The public code uses 99; on 20 training images of BSDS500 fewer
    # give better boundaries (`docs/results.md`), and with 60 the energy still correlates with that of the public code
    # to .97.
    eigenvectors: int = 60
    decimations: int = 2  # of the affinity before its eigenvectors are computed; 0: exact
    hierarchy: Hierarchy = "oriented"
    longest_side: int = 1000  # pixels; larger images are processed at this size
    # Energy that is mapped to a strength of 1. The public code uses the maximum over the evaluated data set. This is
    # the maximum over 20 training images of BSDS500, rounded, so that an image's result depends on no other image.
    unit: float = 58.0


MODES: dict[Mode, CrispParameters] = {
    "speedy": CrispParameters(),
    "speedy_public": CrispParameters(eigenvectors=99, unit=61.0),
    "accurate_low_res": CrispParameters(decimations=0, unit=107.0),
    "accurate_high_res": CrispParameters(halvings=0, unit=98.0),
}
