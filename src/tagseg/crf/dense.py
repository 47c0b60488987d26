"""Mean-field inference in a dense CRF (Eqs. 6-8), with the pairwise terms of [45] and the higher-order terms of [46].

[45]: Krähenbühl and Koltun 2011. [46]: Vineet, Warrell and Torr 2012.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import numpy as np
import pydensecrf.densecrf as densecrf

from tagseg.crf.downscaling import (
    enlarge_marginals,
    shrink_image,
    shrink_planes,
    shrink_regions,
    shrink_unary,
    smaller_size,
)
from tagseg.crf.parameters import CrfParameters, HigherOrder

if TYPE_CHECKING:
    from tagseg.crf.higher_order import RegionTerms

_DEFAULTS = CrfParameters()


def dense_crf(
    image: np.ndarray,
    unary: np.ndarray,
    *,
    regions: np.ndarray | None = None,
    higher_order: HigherOrder | None = None,
    probabilities: np.ndarray | None = None,
    parameters: CrfParameters = _DEFAULTS,
) -> np.ndarray:
    """Marginals (L, H, W) float32 after mean-field inference; they sum to 1 over labels.

    `image` is (H, W, 3) uint8. `unary` (L, H, W) float holds energies in nats; inf means probability zero. The pairwise
    term is a Potts model with a smoothness kernel (position) and an appearance kernel (position and colour). The
    higher-order term is P^n-Potts (Eq. 8) or robust P^n over `regions` (H, W), integer labels from 0, not necessarily
    contiguous. Without `higher_order`, `regions` and `probabilities` are ignored.

    P of Eq. 8 is `probabilities` (L, H, W) in [0, 1], by default the softmax of the unary energies. The paper can be
    read either way: the key `crf.region_probability` chooses.

    An image of more than `max_pixels` is processed at a smaller size with proportionally narrower kernels, and its
    marginals are interpolated, so that working memory does not grow with the image.

    Raises ValueError if shapes or types do not match, if the minimum energy of a pixel is not finite (an energy is NaN
    or -inf, or all are inf), if a probability lies outside [0, 1], if a region label is negative, or if `higher_order`
    is unknown or `regions` is missing.
    """
    _check(image, unary, regions, higher_order, probabilities)
    labels, *full = unary.shape
    if labels == 1:
        return np.ones(unary.shape, dtype=np.float32)
    size = smaller_size((full[0], full[1]), parameters.max_pixels)
    if higher_order is None:
        regions = probabilities = None
    if list(size) != full:
        parameters = _scaled(parameters, size[0] * size[1] / (full[0] * full[1]), higher_order)
        image, unary = shrink_image(image, size), shrink_unary(unary, size)
        regions = None if regions is None else shrink_regions(regions, size)
        probabilities = None if probabilities is None else shrink_planes(probabilities, size)
    marginals = _mean_field(image, unary, regions, higher_order, probabilities, parameters)
    return marginals if list(size) == full else enlarge_marginals(marginals, (full[0], full[1]))


def _check(
    image: np.ndarray,
    unary: np.ndarray,
    regions: np.ndarray | None,
    higher_order: str | None,
    probabilities: np.ndarray | None,
) -> None:
    if unary.ndim != 3 or 0 in unary.shape:
        raise ValueError(f"unary {unary.shape}: expected non-empty energies (labels, height, width)")
    if image.shape != (*unary.shape[1:], 3):
        raise ValueError(f"image {image.shape} does not fit the unary {unary.shape}")
    if image.dtype != np.uint8:
        raise ValueError(f"image of type {image.dtype}: expected uint8")
    if not np.isfinite(unary.min(axis=0)).all():  # min propagates NaN
        raise ValueError("unary: a pixel's minimum energy is not finite; one is NaN or -inf, or all its labels are inf")
    if higher_order is None:
        return
    if higher_order not in get_args(HigherOrder):
        raise ValueError(f"higher_order is {higher_order!r}: use {' or '.join(get_args(HigherOrder))}, or None")
    if regions is None:
        raise ValueError(f"higher_order {higher_order} needs regions (height, width)")
    if regions.shape != unary.shape[1:]:
        raise ValueError(f"regions {regions.shape} do not fit the unary {unary.shape}")
    if regions.dtype.kind not in "iu":
        raise ValueError(f"regions of type {regions.dtype}: expected integers")
    if regions.min() < 0:
        raise ValueError(f"regions: {regions.min()} is negative; number the regions from 0")
    if probabilities is None:
        return
    if probabilities.shape != unary.shape:
        raise ValueError(f"probabilities {probabilities.shape} do not match the unary {unary.shape}")
    if not (probabilities.min() >= 0 and probabilities.max() <= 1):  # false for NaN, too
        raise ValueError("probabilities: expected values in [0, 1], and no NaN")


def _scaled(parameters: CrfParameters, area: float, higher_order: HigherOrder | None) -> CrfParameters:
    """Adapt the parameters to an image with a fraction `area` of the pixels, so that messages keep their magnitude.

    The kernels are normalised, so only their spatial widths change. Gains of robust P^n scale as N_s^(θ - 1).
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
    probabilities: np.ndarray | None,
    parameters: CrfParameters,
) -> np.ndarray:
    """Marginals (L, h, w) float32 at the size of `image`."""
    labels, height, width = unary.shape
    crf = _pairwise(image, labels, parameters)
    crf.setUnaryEnergy(_writable(unary.reshape(labels, -1), np.float32))
    q, *work = crf.startInference()
    marginals = np.asarray(q).T  # (N, L), a view of the library's memory, updated by each step
    terms = None
    if higher_order is not None and regions is not None:
        of_eq8 = marginals if probabilities is None else _by_pixel(probabilities)
        terms = _region_terms(higher_order, regions.ravel(), of_eq8, parameters)
    for _ in range(parameters.iterations):
        before = marginals.copy() if parameters.tolerance else None
        gains = terms.gains(marginals) if terms else None
        crf.stepInference(q, *work)
        if terms and gains:
            # Adding the messages to the result of the step gives the same marginals as adding them to its energies (up
            # to underflow of float32 at e^-87), and avoids passing all energies to the library again.
            terms.add(gains, marginals, parameters.higher_order_weight)
        if before is not None and _mean_change(before, marginals) <= parameters.tolerance:
            break
    return np.array(q, dtype=np.float32, order="C").reshape(labels, height, width)


def _by_pixel(planes: np.ndarray) -> np.ndarray:
    """(L, H, W) -> (N, L) float32."""
    return np.ascontiguousarray(planes.reshape(len(planes), -1).T, dtype=np.float32)


def _region_terms(
    model: HigherOrder, regions: np.ndarray, probabilities: np.ndarray, parameters: CrfParameters
) -> "RegionTerms":
    from tagseg.crf.higher_order import RegionTerms  # imported here: numba takes a second to load

    return RegionTerms(model, regions, probabilities, parameters)


def _pairwise(image: np.ndarray, labels: int, parameters: CrfParameters) -> densecrf.DenseCRF2D:
    """pydensecrf's CRF with the two kernels of [45], for an `image` (h, w, 3) uint8.

    The paper does not say how kernels K are normalised. Here it is D^-1/2 K D^-1/2, pydensecrf's default, where D are
    the sums of K's rows; the public code of [46] divides by the sums after filtering.
    """
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


def _mean_change(before: np.ndarray, after: np.ndarray) -> float:
    """Total variation distance between two sets of marginals (N, L), the mean over pixels: in [0, 1]."""
    return float(np.abs(after - before).sum(dtype=np.float64)) / 2 / len(after)


def _writable(values: np.ndarray, kind: type) -> np.ndarray:
    """A C-contiguous, writable array, as pydensecrf requires."""
    return np.require(values, kind, ["C", "W"])
