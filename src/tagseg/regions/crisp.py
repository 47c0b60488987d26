"""Crisp boundary detection: the complete method, from an image to boundaries and nested regions.

P. Isola, D. Zoran, D. Krishnan, E. Adelson: Crisp Boundary Detection Using Pointwise Mutual Information, ECCV 2014,
with the modes of its public code.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image

from tagseg.regions.affinity import fit_pmi_forest, forest_affinity
from tagseg.regions.cuts import normalised_cuts
from tagseg.regions.density import fit_density
from tagseg.regions.features import crisp_features, resize
from tagseg.regions.hierarchy import RegionTree, region_tree
from tagseg.regions.modes import MODES, CrispParameters, Mode
from tagseg.regions.oriented import oriented_energy, suppress_border


@dataclass(frozen=True)
class CrispBoundaries:
    """Boundaries and nested regions of an image (H, W)."""

    boundaries: np.ndarray  # (H, W) float32 >= 0: boundary energy, the maximum over orientations; 1 is very strong
    tree: RegionTree  # altitudes in [0, 1]

    @cached_property
    def ucm(self) -> np.ndarray:
        """Ultrametric contour map (H, W) float32 in [0, 1]: the threshold at which each boundary vanishes."""
        return self.tree.contours()

    def regions(self, threshold: float) -> np.ndarray:
        """Regions at `threshold` in [0, 1]: 4-connected labels 0..R-1 in reading order, (H, W) int32.

        Larger thresholds give fewer regions.
        """
        return self.tree.cut(threshold)


def crisp_boundaries(
    image: np.ndarray, *, mode: Mode = "speedy", seed: int = 0, parameters: CrispParameters | None = None
) -> CrispBoundaries:
    """Detect object boundaries in an RGB `image` (H, W, 3) uint8; grey (H, W) or (H, W, 1) and RGBA work, too.

    Deterministic for a given `seed`. `parameters` overrides those of `mode`. Images whose longer side exceeds
    `longest_side` are processed at that size; results have the size of `image`. Alpha is ignored.
    Raises ValueError if `image` has another type or shape or no pixels, or if the mode is unknown.
    """
    if mode not in MODES:
        raise ValueError(f"mode {mode!r} is not one of {', '.join(MODES)}")
    used = parameters or MODES[mode]
    rgb = _as_rgb(image)
    size = rgb.shape[:2]
    small = _capped(rgb, used.longest_side)
    energy = np.maximum(resize(boundary_energy(small, used, seed), small.shape[:2]), 0)
    tree = region_tree(energy, used.hierarchy)
    tree = replace(tree, altitudes=logistic(tree.altitudes / used.unit))
    boundaries = energy.max(axis=2, keepdims=True) / np.float32(used.unit)
    if small.shape != rgb.shape:
        boundaries = np.maximum(resize(boundaries, size), 0)
        tree = replace(tree, leaves=_enlarged(tree.leaves, size))
    return CrispBoundaries(boundaries[..., 0], tree)


def boundary_energy(image: np.ndarray, parameters: CrispParameters, seed: int) -> np.ndarray:
    """E_oriented (⌈H/2^k⌉, ⌈W/2^k⌉, 8) float32 >= 0 of an RGB `image` (H, W, 3) uint8, with k = `halvings`."""
    rng = np.random.default_rng(seed)
    features = [crisp_features(image, name, halvings=parameters.halvings) for name in parameters.features]
    features = [maps for maps in features if maps.any()]
    if not features:  # the image has a single colour
        return np.zeros((*(-(-side // 2**parameters.halvings) for side in image.shape[:2]), 8), np.float32)
    forests = [
        fit_pmi_forest(
            maps,
            fit_density(maps, parameters.kernels, parameters.bandwidth, rng),
            samples=parameters.samples,
            trees=parameters.trees,
            split_features=parameters.split_features,
            smallest_leaf=parameters.smallest_leaf,
            rng=rng,
        )
        for maps in features
    ]
    # decimation reads only pairs with a kept pixel, and keeps none of a single row or column
    kept_only = parameters.decimations > 0 and min(features[0].shape[:2]) > 1
    affinity = forest_affinity(features, forests, kept_only=kept_only)
    vectors, values = normalised_cuts(affinity, parameters.eigenvectors, parameters.decimations, seed)
    return suppress_border(oriented_energy(vectors, values))


def logistic(strength: np.ndarray) -> np.ndarray:
    """Map mean boundary strength >= 0 to [0, 1]; any shape, float64. Increasing, and 0 at 0.

    The logistic curve that the public code fitted on BSDS500.
    """
    return np.clip((1 / (1 + np.exp(2.7487 - 11.1189 * strength)) - 0.0602) / (1 - 0.0602), 0, 1)


def _as_rgb(image: np.ndarray) -> np.ndarray:
    if image.dtype != np.uint8:
        raise ValueError(f"expected an image of type uint8, got {image.dtype}")
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise ValueError(f"expected an image (H, W, 3), got {image.shape}")
    if not image.size:
        raise ValueError(f"the image {image.shape} has no pixels")
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[..., :3]


def _capped(image: np.ndarray, longest: int) -> np.ndarray:
    """The image (H, W, 3), resized if its longer side exceeds `longest` pixels."""
    scale = longest / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.BICUBIC))


def _enlarged(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarge a label map by nearest neighbour: every pixel becomes a block, so regions stay connected."""
    rows, columns = (np.arange(n) * old // n for n, old in zip(size, labels.shape, strict=True))
    return labels[np.ix_(rows, columns)]
