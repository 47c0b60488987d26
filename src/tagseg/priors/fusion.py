"""Probability maps of an image's tags: foreground prior, localization maps, and their fusion (Eqs. 2-5).

Every function returns (L, H, W) float32, background first, then one map for each class of `cams` in its order.
"""

from typing import Literal

import numpy as np

from tagseg.priors.cam import binary_cam

Background = Literal["mean", "max"]


def fgbg_maps(foreground: np.ndarray) -> np.ndarray:
    """Pf (H, W) in [0, 1] -> (2, H, W): 1 - Pf and Pf."""
    return np.stack([1 - foreground, foreground])


def localization_maps(
    cams: np.ndarray, *, background: Background, power: float, classes: int, normalise: bool
) -> np.ndarray:
    """The localization-only variant (Tables 5, 6): M_0 and M_c, `cams` (C, H, W) in [0, 1]."""
    maps = np.concatenate([background_map(cams, background=background, power=power, classes=classes)[None], cams])
    return sum_to_one(maps) if normalise else maps


def multiclass_maps(
    cams: np.ndarray,
    foreground: np.ndarray,
    *,
    threshold: float,
    alpha: float,
    background: Background,
    power: float,
    classes: int,
    normalise: bool,
) -> np.ndarray:
    """Fusion of CAMs (C, H, W) and Pf (H, W), both in [0, 1].

    Q_c = Pf ⊙ B_c (Eq. 2); P_c = α Q_c + (1-α) M_c (Eq. 3); P_0 = α (1 - Pf) + (1-α) M_0 (Eq. 5).
    """
    fused = [alpha * foreground * binary_cam(cam, threshold) + (1 - alpha) * cam for cam in cams]
    rest = background_map(cams, background=background, power=power, classes=classes)
    maps = np.stack([alpha * (1 - foreground) + (1 - alpha) * rest, *fused]).astype(np.float32)
    return sum_to_one(maps) if normalise else maps


def background_map(cams: np.ndarray, *, background: Background, power: float, classes: int) -> np.ndarray:
    """M_0 = 1 - (1/C) Σ_c M_c (Eq. 4), or 1 - max_c M_c, to the given power (the paper: 1); (H, W) float32.

    `classes` is C. The paper does not say whether it counts all classes or the image's: with all of them M_0 stays
    near 1 everywhere on an image of two tags.
    """
    if background == "max":
        return ((1 - cams.max(axis=0)) ** power).astype(np.float32)
    return ((1 - cams.sum(axis=0) / classes) ** power).astype(np.float32)


def sum_to_one(maps: np.ndarray) -> np.ndarray:
    """Scale the values of each pixel to sum 1; a pixel where all are 0 becomes background."""
    total = maps.sum(axis=0, keepdims=True)
    scaled = maps / np.where(total > 0, total, 1)
    scaled[0] = np.where(total[0] > 0, scaled[0], 1)
    return scaled.astype(np.float32)
