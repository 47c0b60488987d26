"""The dense CRF with region terms, and its limits: what regions do to an image, what is refused, when it stops."""

from itertools import pairwise

import numpy as np
import pydensecrf.densecrf as densecrf
import pytest

from tagseg.crf import CrfParameters, dense_crf, softmax_unary
from tagseg.crf.parameters import HigherOrder

MODELS: tuple[HigherOrder, ...] = ("pn_potts", "robust_pn")


def scene(seed: int = 0, labels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A 16 x 24 image of two halves and noise, and doubtful energies: label 0 left, label 1 right."""
    rng = np.random.default_rng(seed)
    image = rng.integers(60, 90, (16, 24, 3))
    image[:, 12:] += 100
    probabilities = rng.dirichlet(np.full(labels, 2.0), (16, 24)).transpose(2, 0, 1)
    probabilities[0, :, :12] += 0.4
    probabilities[1, :, 12:] += 0.4
    return image.astype(np.uint8), softmax_unary(probabilities, 3)


def halves() -> np.ndarray:
    regions = np.zeros((16, 24), dtype=np.int32)
    regions[:, 12:] = 1
    return regions


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_without_a_model_regions_are_not_looked_at_and_it_is_the_library_bit_for_bit(steps: int) -> None:
    image, unary = scene()
    p = CrfParameters(steps)
    crf = densecrf.DenseCRF2D(24, 16, 3)
    crf.setUnaryEnergy(np.ascontiguousarray(unary.reshape(3, -1)))
    crf.addPairwiseGaussian(sxy=p.gaussian_width, compat=p.gaussian_weight)
    crf.addPairwiseBilateral(sxy=p.bilateral_width, srgb=p.bilateral_colour, rgbim=image, compat=p.bilateral_weight)
    wanted = np.array(crf.inference(steps)).reshape(3, 16, 24)
    np.testing.assert_array_equal(dense_crf(image, unary, regions=halves(), parameters=p), wanted)


def settled(**others: float) -> CrfParameters:
    """So many steps that the start, which the first marginals are, is forgotten."""
    return CrfParameters(30, gaussian_weight=1.0, bilateral_weight=1.0, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", MODELS)
def test_one_region_a_pixel_adds_its_own_cost_to_each_energy(model: HigherOrder) -> None:
    image, unary = scene()
    regions = np.arange(unary[0].size).reshape(unary[0].shape)
    p = settled(higher_order_weight=0.7, gamma_max=1.5)
    marginals = dense_crf(image, unary, regions=regions, higher_order=model, parameters=p)
    costs = np.minimum(-np.log(dense_crf(image, unary, parameters=CrfParameters(0))), 1.5)
    assert (costs == 1.5).any()
    wanted = dense_crf(image, unary + 0.7 * costs, parameters=settled())
    np.testing.assert_allclose(marginals, wanted, atol=1e-4)
    assert np.abs(wanted - dense_crf(image, unary, parameters=settled())).max() > 0.1


def test_pn_potts_over_the_whole_image_does_nothing_at_all() -> None:
    image, unary = scene()
    regions = np.zeros(unary[0].shape, dtype=np.int32)
    marginals = dense_crf(image, unary, regions=regions, higher_order="pn_potts")
    np.testing.assert_array_equal(marginals, dense_crf(image, unary))


def test_robust_pn_over_the_whole_image_favours_its_majority_by_the_same_amount_everywhere() -> None:
    image, _ = scene()
    unary = np.zeros((2, 16, 24), dtype=np.float32)
    unary[0] = np.where(np.arange(24) < 3, 3.0, -6.0)  # an eighth of the image would rather not take label 0
    regions = np.zeros((16, 24), dtype=np.int32)
    marginals = dense_crf(image, unary, regions=regions, higher_order="robust_pn", parameters=settled())
    share = dense_crf(image, unary, parameters=CrfParameters(0))[0].mean()
    p = CrfParameters()
    gain = 384**p.size_exponent * (p.gamma_max + np.log(share)) / (p.truncation * 384)
    pushed = unary - np.array([gain, 0], dtype=np.float32)[:, None, None]
    np.testing.assert_allclose(marginals, dense_crf(image, pushed, parameters=settled()), atol=1e-4)
    assert np.abs(marginals - dense_crf(image, unary, parameters=settled())).max() > 0.1


def test_a_region_outvotes_its_doubtful_pixels() -> None:
    """Robust P^n fills both halves with their label; P^n-Potts leaves regions of this size alone."""
    image, unary = scene()
    weak = {"gaussian_weight": 0.0, "bilateral_weight": 0.0}
    wrong = {}
    for model in (None, *MODELS):
        p = CrfParameters(truncation=0.5, **weak)
        labels = dense_crf(image, unary, regions=halves(), higher_order=model, parameters=p).argmax(axis=0)
        wrong[model] = np.mean(labels != halves())
    assert wrong["robust_pn"] < 0.01 and wrong["pn_potts"] == wrong[None] > 0.05


@pytest.mark.parametrize("weight", [20.0, 100.0, 1e6])
def test_a_heavy_weight_leaves_marginals_that_sum_to_one(weight: float) -> None:
    """e to the power of such gains is beyond float32, and soon beyond float64."""
    image, unary = scene()
    p = CrfParameters(higher_order_weight=weight, truncation=0.5)
    marginals = dense_crf(image, unary, regions=halves(), higher_order="robust_pn", parameters=p)
    np.testing.assert_allclose(marginals.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(marginals.argmax(axis=0), halves())


@pytest.mark.parametrize("model", MODELS)
def test_numbers_and_order_of_regions_and_labels_do_not_matter(model: HigherOrder) -> None:
    image, unary = scene()
    regions = np.random.default_rng(0).integers(0, 60, unary[0].shape)
    wanted = dense_crf(image, unary, regions=regions, higher_order=model)
    renamed = np.random.default_rng(1).permutation(10**6)[:60][regions]
    np.testing.assert_allclose(dense_crf(image, unary, regions=renamed, higher_order=model), wanted, atol=1e-6)
    turned = dense_crf(image, unary[::-1], regions=regions.astype(np.uint16), higher_order=model)
    np.testing.assert_allclose(turned[::-1], wanted, atol=1e-5)
    assert np.abs(wanted - dense_crf(image, unary)).max() > 0.05


@pytest.mark.parametrize("model", [None, *MODELS])
def test_a_label_of_probability_zero_is_as_if_it_were_not_there(model: HigherOrder | None) -> None:
    image, unary = scene()
    with_it = np.insert(unary, 1, np.inf, axis=0)
    regions = np.arange(unary[0].size).reshape(unary[0].shape) // 3
    marginals = dense_crf(image, with_it, regions=regions, higher_order=model)
    assert marginals[1].max() < 1e-30
    wanted = dense_crf(image, unary, regions=regions, higher_order=model)
    np.testing.assert_allclose(np.delete(marginals, 1, axis=0), wanted, atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_one_label_is_certain_whatever_the_regions(model: HigherOrder) -> None:
    image, unary = scene()
    marginals = dense_crf(image, unary[:1], regions=halves(), higher_order=model)
    np.testing.assert_array_equal(marginals, np.ones((1, 16, 24)))


@pytest.mark.parametrize("model", [None, *MODELS])
def test_it_stops_at_the_first_step_that_moves_little(model: HigherOrder | None) -> None:
    image, unary = scene()
    tolerance = 0.004
    runs = [
        dense_crf(image, unary, regions=halves(), higher_order=model, parameters=CrfParameters(steps))
        for steps in range(13)
    ]
    moved = [np.abs(b - a).sum() / 2 / a[0].size for a, b in pairwise(runs)]
    last = next(i for i, share in enumerate(moved, 1) if share <= tolerance)
    assert 1 < last < 12
    p = CrfParameters(12, tolerance=tolerance)
    stopped = dense_crf(image, unary, regions=halves(), higher_order=model, parameters=p)
    np.testing.assert_array_equal(stopped, runs[last])
    assert np.abs(runs[12] - runs[last]).max() > 0


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_energies_that_are_no_numbers_are_refused(value: float) -> None:
    image, unary = scene()
    unary[1, 3, 4] = value
    with pytest.raises(ValueError, match="minimum energy is not finite"):
        dense_crf(image, unary)


def test_a_pixel_without_any_label_is_refused() -> None:
    image, unary = scene()
    unary[:, 3, 4] = np.inf
    with pytest.raises(ValueError, match="all its labels are inf"):
        dense_crf(image, unary)


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        (None, r"needs regions"),
        (np.zeros((24, 16), dtype=np.int32), r"\(24, 16\) do not fit the unary \(3, 16, 24\)"),
        (np.zeros((16, 24)), "float64"),
        (np.full((16, 24), -1), "-1 is negative"),
    ],
)
def test_regions_that_do_not_fit_are_refused(regions: np.ndarray | None, message: str) -> None:
    image, unary = scene()
    with pytest.raises(ValueError, match=message):
        dense_crf(image, unary, regions=regions, higher_order="pn_potts")


def test_other_inputs_are_refused_by_name() -> None:
    image, unary = scene()
    with pytest.raises(ValueError, match=r"'pn'.*pn_potts or robust_pn"):
        dense_crf(image, unary, regions=halves(), higher_order="pn")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="float64"):
        dense_crf(image / 255, unary)
    with pytest.raises(ValueError, match=r"\(16, 24\)"):
        dense_crf(image, unary[0])
    with pytest.raises(ValueError, match=r"\(0, 16, 24\)"):
        dense_crf(image, unary[:0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("truncation", 0.6),
        ("truncation", 0.0),
        ("tolerance", -1e-3),
        ("gamma_max", float("nan")),
        ("higher_order_weight", -1.0),
        ("size_exponent", float("inf")),
        ("max_pixels", 0),
        ("iterations", -1),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        CrfParameters(**{name: value})  # type: ignore[arg-type]
