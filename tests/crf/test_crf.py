"""The dense CRF: its unary against Eq. 7, its mean field against the library alone and against sums over all pairs."""

import math

import numpy as np
import pydensecrf.densecrf as densecrf
import pytest

from tagseg.crf import CrfParameters, dense_crf, softmax_unary


def softmax(values: np.ndarray) -> np.ndarray:
    return np.exp(values) / np.exp(values).sum(axis=0)


def mean_field_over_pairs(image: np.ndarray, unary: np.ndarray, p: CrfParameters) -> np.ndarray:
    """Krähenbühl and Koltun's mean field with Potts labels: every kernel a full matrix, K -> D^-1/2 K D^-1/2."""
    labels, height, width = unary.shape
    spots = [(y, x) for y in range(height) for x in range(width)]
    near, alike = np.zeros((len(spots), len(spots))), np.zeros((len(spots), len(spots)))
    for i, a in enumerate(spots):
        for j, b in enumerate(spots):
            away = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
            colour = ((image[a].astype(float) - image[b].astype(float)) ** 2).sum()
            near[i, j] = math.exp(-away / (2 * p.gaussian_width**2))
            alike[i, j] = math.exp(-away / (2 * p.bilateral_width**2) - colour / (2 * p.bilateral_colour**2))
    energy = unary.reshape(labels, -1).astype(np.float64)
    q = softmax(-energy)
    for _ in range(p.iterations):
        message = np.zeros_like(q)
        for weight, kernel in ((p.gaussian_weight, near), (p.bilateral_weight, alike)):
            scale = 1 / np.sqrt(kernel.sum(axis=1))
            message += weight * (q @ (kernel * np.outer(scale, scale)))
        q = softmax(message - energy)
    return q.reshape(labels, height, width)


def halves(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A 4 x 5 image, dark left of column 2 and bright from there on, and doubtful probabilities of three labels."""
    rng = np.random.default_rng(seed)
    image = np.full((4, 5, 3), 40) + rng.integers(0, 6, (4, 5, 3))
    image[:, 2:] += 150
    probabilities = rng.uniform(0.2, 0.4, (3, 4, 5))
    probabilities[0, :, :2] += 0.3
    probabilities[1, :, 2:] += 0.3
    probabilities[:, 1, 0] = [0.3, 0.2, 0.5]  # one pixel that its neighbours outvote
    return image.astype(np.uint8), (probabilities / probabilities.sum(axis=0)).astype(np.float32)


def test_softmax_unary_by_hand() -> None:
    energies = softmax_unary(np.array([0.2, 0.7, 0.1]).reshape(3, 1, 1))
    total = math.exp(0.2) + math.exp(0.7) + math.exp(0.1)
    wanted = [-math.log(math.exp(p) / total) for p in (0.2, 0.7, 0.1)]
    np.testing.assert_allclose(energies.ravel(), wanted, rtol=1e-6)
    assert energies.dtype == np.float32


def test_unary_gain_multiplies_the_probabilities() -> None:
    energies = softmax_unary(np.array([0.2, 0.8]).reshape(2, 1, 1), gain=10)
    wanted = [-math.log(math.exp(p) / (math.exp(2) + math.exp(8))) for p in (2, 8)]
    np.testing.assert_allclose(energies.ravel(), wanted, rtol=1e-5, atol=1e-6)


def test_energies_of_eq_7_span_at_most_one_nat_and_gain_widens_them() -> None:
    certain = np.array([1.0, 0.0]).reshape(2, 1, 1)
    assert float(np.ptp(softmax_unary(certain))) == pytest.approx(1)
    assert float(np.ptp(softmax_unary(certain, 20))) == pytest.approx(20)


def test_softmax_unary_of_large_scores_stays_finite() -> None:
    scores = np.array([1000.0, 0.0, -1000.0]).reshape(3, 1, 1)
    np.testing.assert_allclose(softmax_unary(scores).ravel(), [0, 1000, 2000])


def test_a_gain_below_1_softens_scores() -> None:
    scores = np.array([6.0, 0.0]).reshape(2, 1, 1)
    np.testing.assert_allclose(
        np.exp(-softmax_unary(scores, 0.5)).ravel(), [1 / (1 + math.exp(-3)), 1 / (1 + math.exp(3))]
    )


def test_equals_a_plain_use_of_the_library() -> None:
    image, probabilities = halves()
    p = CrfParameters(3, 2.0, 1.5, 20.0, 9.0, 2.5)
    unary = softmax_unary(probabilities, 3)
    crf = densecrf.DenseCRF2D(5, 4, 3)
    crf.setUnaryEnergy(np.ascontiguousarray(unary.reshape(3, 20)))
    crf.addPairwiseGaussian(sxy=(2.0, 2.0), compat=1.5)
    crf.addPairwiseBilateral(sxy=(20.0, 20.0), srgb=(9.0, 9.0, 9.0), rgbim=image.copy(), compat=2.5)
    wanted = np.array(crf.inference(3)).reshape(3, 4, 5)
    marginals = dense_crf(image, unary, parameters=p)
    np.testing.assert_array_equal(marginals, wanted)
    assert marginals.dtype == np.float32


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    "parameters",
    [
        CrfParameters(5, 2.0, 1.0, 10.0, 30.0, 2.0),
        CrfParameters(5, 2.0, 2.0, 10.0, 30.0, 0.0),
        CrfParameters(5, 2.0, 0.0, 10.0, 30.0, 3.0),
        CrfParameters(1, 1.5, 1.0, 5.0, 20.0, 1.0),
    ],
)
def test_mean_field_equals_sums_over_all_pairs(seed: int, parameters: CrfParameters) -> None:
    image, probabilities = halves(seed)
    unary = softmax_unary(probabilities, 4)
    marginals = dense_crf(image, unary, parameters=parameters)
    wanted = mean_field_over_pairs(image, unary, parameters)
    np.testing.assert_allclose(marginals.sum(axis=0), 1, atol=1e-5)
    # the library filters on a permutohedral lattice, which is an approximation
    np.testing.assert_allclose(marginals, wanted, atol=0.05)


def test_neighbours_outvote_a_lone_pixel() -> None:
    image, probabilities = halves()
    assert probabilities[:, 1, 0].argmax() == 2
    parameters = CrfParameters(5, 2.0, 1.0, 10.0, 30.0, 3.0)
    unary = softmax_unary(probabilities, 4)
    labels = dense_crf(image, unary, parameters=parameters).argmax(axis=0)
    np.testing.assert_array_equal(labels, mean_field_over_pairs(image, unary, parameters).argmax(axis=0))
    np.testing.assert_array_equal(labels, [[0, 0, 1, 1, 1]] * 4)


def test_colours_are_read_in_their_places() -> None:
    """Swapping height and width, or rows of the image, would move the border between the halves."""
    rng = np.random.default_rng(0)
    image = np.zeros((6, 9, 3), dtype=np.uint8)
    image[4:] = 200
    probabilities = np.full((2, 6, 9), 0.5) + rng.normal(0, 0.02, (2, 6, 9))
    probabilities[0, 0, 0] = probabilities[1, 5, 8] = 4
    marginals = dense_crf(
        image, softmax_unary(probabilities, 3), parameters=CrfParameters(10, 1.0, 0.0, 60.0, 10.0, 6.0)
    )
    np.testing.assert_array_equal(marginals.argmax(axis=0), [[0] * 9] * 4 + [[1] * 9] * 2)


def test_without_weights_the_unary_decides() -> None:
    image, probabilities = halves()
    unary = softmax_unary(probabilities, 4)
    marginals = dense_crf(image, unary, parameters=CrfParameters(gaussian_weight=0, bilateral_weight=0))
    np.testing.assert_allclose(marginals, softmax(-unary), atol=1e-5)


def test_gain_holds_the_marginals_to_the_probabilities() -> None:
    image, probabilities = halves()
    parameters = CrfParameters(5, 2.0, 1.0, 10.0, 30.0, 3.0)
    lone = [dense_crf(image, softmax_unary(probabilities, g), parameters=parameters)[2, 1, 0] for g in (4, 12, 40)]
    assert lone == sorted(lone) and lone[0] < 0.2 and lone[-1] > 0.9


def test_one_label_is_certain() -> None:
    image, _ = halves()
    marginals = dense_crf(image, np.zeros((1, 4, 5), dtype=np.float32), parameters=CrfParameters())
    np.testing.assert_array_equal(marginals, np.ones((1, 4, 5)))


@pytest.mark.parametrize("shape", [(5, 4, 3), (4, 5), (4, 5, 4)])
def test_an_image_of_another_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(3, 4, 5\)"):
        dense_crf(np.zeros(shape, dtype=np.uint8), np.zeros((3, 4, 5), dtype=np.float32), parameters=CrfParameters())


def test_read_only_and_half_precision_inputs_are_taken() -> None:
    image, probabilities = halves()
    unary = softmax_unary(probabilities, 4)
    wanted = dense_crf(image, unary, parameters=CrfParameters())
    image.setflags(write=False)
    unary.setflags(write=False)
    np.testing.assert_array_equal(dense_crf(image, unary, parameters=CrfParameters()), wanted)
    assert dense_crf(image, unary.astype(np.float16), parameters=CrfParameters()).shape == (3, 4, 5)
