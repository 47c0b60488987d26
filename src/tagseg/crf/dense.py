"""Dense CRF (Eqs. 6-8): Gaussian pairwise terms (Krähenbühl and Koltun 2011, [45]) and terms over regions ([46])."""

from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import numpy as np
import pydensecrf.densecrf as densecrf

from tagseg.crf.parameters import CrfParameters, HigherOrder
from tagseg.crf.resize import enlarge_marginals, shrink_image, shrink_regions, shrink_unary, smaller_size

if TYPE_CHECKING:
    from tagseg.crf.higher_order import RegionTerms

_DEFAULTS = CrfParameters()


def dense_crf(
    image: np.ndarray,
    unary: np.ndarray,
    *,
    regions: np.ndarray | None = None,
    higher_order: HigherOrder | None = None,
    parameters: CrfParameters = _DEFAULTS,
) -> np.ndarray:
    """Marginals (L, H, W) float32 after mean field, of `image` (H, W, 3) uint8 and `unary` (L, H, W) energies.

    An energy may be infinite: a label of probability zero. Pairwise: Potts with a smoothness kernel (position) and an
    appearance kernel (position and colour). Higher order: P^n-Potts (Eq. 8) or robust P^n over `regions`, an (H, W) map
    of the numbers 0..R-1, of which not every one need occur. Without `higher_order`, regions are not looked at.

    An image of more than `max_pixels` is smoothed at a smaller size, its kernels narrowed to match, and the marginals
    are interpolated: beside `unary` and the result, memory does not grow with the image.

    Raises ValueError if shapes or types do not fit, if a pixel's least energy is not finite (one is NaN or -inf, or all
    are inf), if a region's number is negative, or if `higher_order` is unknown or lacks its regions.
    """
    _check(image, unary, regions, higher_order)
    labels, *full = unary.shape
    if labels == 1:
        return np.ones(unary.shape, dtype=np.float32)
    size = smaller_size((full[0], full[1]), parameters.max_pixels)
    if higher_order is None:
        regions = None
    if list(size) != full:
        parameters = _shrunk(parameters, size[0] * size[1] / (full[0] * full[1]), higher_order)
        image, unary = shrink_image(image, size), shrink_unary(unary, size)
        regions = None if regions is None else shrink_regions(regions, size)
    marginals = _mean_field(image, unary, regions, higher_order, parameters)
    return marginals if list(size) == full else enlarge_marginals(marginals, (full[0], full[1]))


def _check(image: np.ndarray, unary: np.ndarray, regions: np.ndarray | None, higher_order: str | None) -> None:
    if unary.ndim != 3 or 0 in unary.shape:
        raise ValueError(f"unary {unary.shape}: give energies (labels, height, width), at least one of each")
    if image.shape != (*unary.shape[1:], 3):
        raise ValueError(f"image {image.shape} does not fit the unary {unary.shape}")
    if image.dtype != np.uint8:
        raise ValueError(f"image of type {image.dtype}: give uint8")
    if not np.isfinite(unary.min(axis=0)).all():  # a NaN makes the least NaN
        raise ValueError("unary: a pixel's least energy is not finite; one is NaN or -inf, or all its labels are inf")
    if higher_order is None:
        return
    if higher_order not in get_args(HigherOrder):
        raise ValueError(f"higher_order is {higher_order!r}: use {' or '.join(get_args(HigherOrder))}, or None")
    if regions is None:
        raise ValueError(f"higher_order {higher_order} needs regions (height, width)")
    if regions.shape != unary.shape[1:]:
        raise ValueError(f"regions {regions.shape} do not fit the unary {unary.shape}")
    if regions.dtype.kind not in "iu":
        raise ValueError(f"regions of type {regions.dtype}: give whole numbers")
    if regions.min() < 0:
        raise ValueError(f"regions: {regions.min()} is negative; number every pixel's region from 0")


def _shrunk(parameters: CrfParameters, area: float, higher_order: HigherOrder | None) -> CrfParameters:
    """The parameters for the share `area` of an image's pixels, chosen so that a pixel's messages stay as they were.

    The kernels are normalised, so that only their widths in position change. A gain of robust P^n goes as N_s^(θ - 1).
    """
    gain = area ** (1 - parameters.size_exponent) if higher_order == "robust_pn" else 1.0
    return replace(
        parameters,
        gaussian_width=parameters.gaussian_width * area**0.5,
        bilateral_width=parameters.bilateral_width * area**0.5,
        higher_order_weight=parameters.higher_order_weight * gain,
    )


def _mean_field(
    image: np.ndarray,
    unary: np.ndarray,
    regions: np.ndarray | None,
    higher_order: HigherOrder | None,
    parameters: CrfParameters,
) -> np.ndarray:
    """Marginals (L, h, w) at the image's size."""
    labels, height, width = unary.shape
    crf = _pairwise(image, labels, parameters)
    crf.setUnaryEnergy(_writable(unary.reshape(labels, -1), np.float32))
    q, *work = crf.startInference()
    marginals = np.asarray(q).T  # (N, L), the library's own memory: a step overwrites it
    terms = None
    if higher_order is not None and regions is not None:
        terms = _region_terms(higher_order, regions.ravel(), marginals, parameters)
    for _ in range(parameters.iterations):
        before = marginals.copy() if parameters.tolerance else None
        gains = terms.gains(marginals) if terms else None
        crf.stepInference(q, *work)
        if terms and gains:
            # The messages belong to the energies of the step. Added to its outcome they make the same marginals (but
            # that float32 ends at e^-87), and the library need not be given all its energies anew.
            terms.add(gains, marginals, parameters.higher_order_weight)
        if before is not None and _moved(before, marginals) <= parameters.tolerance:
            break
    return np.array(q, dtype=np.float32, order="C").reshape(labels, height, width)


def _region_terms(
    model: HigherOrder, regions: np.ndarray, probabilities: np.ndarray, parameters: CrfParameters
) -> "RegionTerms":
    from tagseg.crf.higher_order import RegionTerms  # here: numba takes a second to load, and most uses do without

    return RegionTerms(model, regions, probabilities, parameters)


def _pairwise(image: np.ndarray, labels: int, parameters: CrfParameters) -> densecrf.DenseCRF2D:
    height, width, _ = image.shape
    crf = densecrf.DenseCRF2D(width, height, labels)
    crf.addPairwiseGaussian(sxy=parameters.gaussian_width, compat=parameters.gaussian_weight)
    crf.addPairwiseBilateral(
        sxy=parameters.bilateral_width,
        srgb=parameters.bilateral_colour,
        rgbim=_writable(image, np.uint8),
        compat=parameters.bilateral_weight,
    )
    return crf


def _moved(before: np.ndarray, after: np.ndarray) -> float:
    """The share of the probability that went to another label, mean over pixels of (N, L)."""
    return float(np.abs(after - before).sum(dtype=np.float64)) / 2 / len(after)


def _writable(values: np.ndarray, kind: type) -> np.ndarray:
    """As the library wants its buffers: contiguous, and such that it could write to them."""
    return np.require(values, kind, ["C", "W"])
