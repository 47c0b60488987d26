"""Probability maps of an image's tags: foreground prior, localization maps, and their fusion (Eqs. 2-5).

Maps of all labels are (L, H, W) float32 in [0, 1]: background first, then the classes of `cams` in the same order.
"""

from typing import Literal

import numpy as np

from tagseg.priors.cam import binary_cam

Background = Literal["mean", "max"]


def fgbg_maps(foreground: np.ndarray) -> np.ndarray:
    """Background and foreground, 1 - Pf and Pf: (H, W) in [0, 1] -> (2, H, W)."""
    return np.stack([1 - foreground, foreground])


def localization_maps(
    cams: np.ndarray, *, background: Background, power: float, classes: int, normalise: bool
) -> np.ndarray:
    """M_0 and M_c, the localization-only variant of Tables 5 and 6: CAMs (C, H, W) in [0, 1] -> (C + 1, H, W).

    `background`, `power` and `classes` as in `background_map`. `normalise` scales the maps with `sum_to_one`.
    """
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
    """Fusion of CAMs M_c (C, H, W) and the foreground prior Pf (H, W), both in [0, 1] -> (C + 1, H, W).

    Q_c = Pf ⊙ B_c (Eq. 2); P_c = α Q_c + (1-α) M_c (Eq. 3); P_0 = α (1 - Pf) + (1-α) M_0 (Eq. 5).
    `threshold` is that of `binary_cam`; `background`, `power` and `classes` as in `background_map`. `normalise` scales
    the maps with `sum_to_one`.
    """
    fused = [alpha * foreground * binary_cam(cam, threshold) + (1 - alpha) * cam for cam in cams]
    rest = background_map(cams, background=background, power=power, classes=classes)
    maps = np.stack([alpha * (1 - foreground) + (1 - alpha) * rest, *fused]).astype(np.float32)
    return sum_to_one(maps) if normalise else maps


def background_map(cams: np.ndarray, *, background: Background, power: float, classes: int) -> np.ndarray:
    """Background map M_0 (H, W) float32 from CAMs M_c (C, H, W) in [0, 1].

    `mean`: M_0 = 1 - (1/C) Σ_c M_c (Eq. 4); `max`: 1 - max_c M_c. The result is raised to `power` (1 in the paper).
    `classes` is C of Eq. 4. The paper does not say whether it counts all classes or only those of the image; with all
    classes, M_0 is close to 1 everywhere in an image with two tags.
    """
    if background == "max":
        return ((1 - cams.max(axis=0)) ** power).astype(np.float32)
    return ((1 - cams.sum(axis=0) / classes) ** power).astype(np.float32)


def sum_to_one(maps: np.ndarray) -> np.ndarray:
    """Scale maps (L, H, W) >= 0 so that each pixel sums to 1; pixels that are 0 in all maps become background."""
    total = maps.sum(axis=0, keepdims=True)
    scaled = maps / np.where(total > 0, total, 1)
    scaled[0] = np.where(total[0] > 0, scaled[0], 1)
    return scaled.astype(np.float32)
