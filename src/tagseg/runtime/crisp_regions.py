"""Crisp boundaries of an image, with the settings of the configuration."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tagseg.config.masks import CrispSettings
from tagseg.regions import MODES

if TYPE_CHECKING:
    from tagseg.regions import CrispBoundaries


def find_boundaries(image: np.ndarray, settings: CrispSettings) -> "CrispBoundaries":
    """Boundaries, contour map and regions of an image (H, W, 3) uint8."""
    from tagseg.regions import crisp_boundaries  # here: numba takes a second to load, and is seldom needed

    parameters = replace(MODES[settings.mode], longest_side=settings.longest_side)
    return crisp_boundaries(image, seed=settings.seed, parameters=parameters)
