"""Region terms: every message against the sum over all labellings of its region, large regions against exact counts."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from tagseg.crf import CrfParameters, dense_crf, softmax_unary
from tagseg.crf.higher_order import Gains, RegionTerms, region_costs
from tagseg.crf.parameters import HigherOrder

MODELS: tuple[HigherOrder, ...] = ("pn_potts", "robust_pn")
NO_PAIRWISE = {"gaussian_weight": 0.0, "bilateral_weight": 0.0}


def softmax(values: np.ndarray) -> np.ndarray:
    return np.exp(values) / np.exp(values).sum(axis=0)


def cost_of(model: str, labelling: tuple[int, ...], costs: list[float], p: CrfParameters) -> float:
    """The cost of one labelling of a region, as the models are defined; `costs` are its γ_l."""
    pixels = len(labelling)
    if model == "pn_potts":
        return costs[labelling[0]] if len(set(labelling)) == 1 else p.gamma_max
    truncation = p.truncation * pixels
    lines = [
        (pixels - labelling.count(label)) * (p.gamma_max - cost) / truncation + cost for label, cost in enumerate(costs)
    ]
    return pixels**p.size_exponent * min(*lines, p.gamma_max)


def costs_by_hand(probabilities: np.ndarray, p: CrfParameters) -> list[float]:
    """γ_l of one region, `probabilities` (N, L)."""
    return [min(-math.log(mean), p.gamma_max) if mean > 0 else p.gamma_max for mean in probabilities.mean(axis=0)]


def messages_by_hand(model: str, q: np.ndarray, costs: list[float], p: CrfParameters) -> np.ndarray:
    """E[ψ | x_i = l] (L, N) of one region, `q` (N, L): over every labelling of its other pixels."""
    pixels, labels = q.shape
    messages = np.zeros((labels, pixels))
    for labelling in itertools.product(range(labels), repeat=pixels):
        cost = cost_of(model, labelling, costs, p)
        for i in range(pixels):
            others = math.prod(float(q[j, labelling[j]]) for j in range(pixels) if j != i)
            messages[labelling[i], i] += others * cost
    return messages


def region_messages_by_hand(
    model: str, regions: np.ndarray, q: np.ndarray, probabilities: np.ndarray, p: CrfParameters
) -> np.ndarray:
    """(L, N), of several regions, `regions` (N,)."""
    messages = np.zeros(q.T.shape)
    for number in set(regions.tolist()):
        inside = regions == number
        messages[:, inside] = messages_by_hand(model, q[inside], costs_by_hand(probabilities[inside], p), p)
    return messages


def dense(gains: Gains, regions: np.ndarray, labels: int) -> np.ndarray:
    """All gains as (L, N), for `regions` (N,) and L = `labels`."""
    full = np.zeros((labels, len(regions)))
    for a in range(gains.values.shape[1]):
        inside = np.flatnonzero(a < gains.counts[regions])
        full[gains.active[regions[inside], a], inside] = gains.values[inside, a]
    return full


def expected_excess(q: np.ndarray, onset: float) -> float:
    """E[(n - t)_+] with t = `onset`, where n counts the pixels that take a label with probabilities `q` (N,)."""
    mass = np.ones(1)
    for p in q:
        mass = np.convolve(mass, [1 - p, p])
    return float(mass @ np.maximum(np.arange(mass.size) - onset, 0.0))


def messages_of(terms: RegionTerms, q: np.ndarray, p: CrfParameters) -> np.ndarray:
    """The complete messages E[ψ_s | x_i = l] (L, N) with the gains of `terms`: mean field needs nothing but these."""
    q = np.ascontiguousarray(q, dtype=np.float32)
    gains = dense(terms.gains(q), terms.regions, q.shape[1])
    if terms.model == "pn_potts":
        return p.gamma_max - gains
    sizes = np.bincount(terms.regions)
    # the expectation over the other pixels: E[(n' - t)_+] = E[(n - t)_+] - q slope
    excess = np.zeros(terms.drops.shape)
    for r, label in np.ndindex(*excess.shape):
        own = q[terms.regions == r, label].astype(np.float64)
        excess[r, label] = expected_excess(own, sizes[r] * (1 - p.truncation))
    constant = p.gamma_max * sizes**p.size_exponent - (terms.drops * excess).sum(axis=1)
    return constant[terms.regions] + (q.T * gains).sum(axis=0) - gains


def draw(seed: int, pixels: int, labels: int, sharpness: float = 1.0) -> np.ndarray:
    q = np.random.default_rng(seed).dirichlet(np.full(labels, 1 / sharpness), pixels).astype(np.float32)
    return q / q.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("labels", [1, 2, 3])
@pytest.mark.parametrize("pixels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("truncation", "size_exponent", "gamma_max"), [(0.4, 0.8, 4.6), (0.5, 0, 2), (0.21, 1, 1.2), (0.05, 0.5, 9)]
)
def test_messages_equal_the_expectation_over_all_labellings(
    model: HigherOrder, labels: int, pixels: int, truncation: float, size_exponent: float, gamma_max: float
) -> None:
    p = CrfParameters(truncation=truncation, size_exponent=size_exponent, gamma_max=gamma_max)
    for seed, sharpness in enumerate((0.2, 1, 5, 50)):
        q, probabilities = draw(seed, pixels, labels, sharpness), draw(seed + 10, pixels, labels)
        messages = messages_of(RegionTerms(model, np.zeros(pixels, dtype=np.int32), probabilities, p), q, p)
        wanted = messages_by_hand(model, q, costs_by_hand(probabilities, p), p)
        np.testing.assert_allclose(messages, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_certain_pixels_and_labels_of_probability_zero(model: HigherOrder) -> None:
    p = CrfParameters(truncation=0.5)
    q = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0.5, 0.5, 0]], dtype=np.float32)
    for certain in (q, q[:3], q[:2], q[1:3], q[[2, 3]]):
        terms = RegionTerms(model, np.zeros(len(certain), dtype=np.int32), certain, p)
        wanted = messages_by_hand(model, certain, costs_by_hand(certain, p), p)
        np.testing.assert_allclose(messages_of(terms, certain, p), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_regions_that_lie_across_each_other_with_numbers_left_out(model: HigherOrder) -> None:
    p = CrfParameters()
    regions = np.array([4, 0, 4, 2, 0, 4, 2, 4, 0, 7, 0], dtype=np.int32)
    q, probabilities = draw(0, 11, 3, 3), draw(1, 11, 3)
    wanted = region_messages_by_hand(model, regions, q, probabilities, p)
    near = RegionTerms(model, regions, probabilities, p)
    np.testing.assert_allclose(messages_of(near, q, p), wanted, rtol=0, atol=1e-5)
    far = RegionTerms(model, regions * 300_000_000, probabilities, p)
    np.testing.assert_allclose(messages_of(far, q, p), wanted, rtol=0, atol=1e-5)
    assert len(far.drops) == 4


def test_region_costs_by_hand() -> None:
    probabilities = np.array([[0.5, 0.5, 0], [0.7, 0.3, 0], [1, 0, 0], [0.9, 0.1, 0]], dtype=np.float32)
    costs = region_costs(probabilities, np.array([0, 0, 2, 2]), 2.5)
    wanted = [[-math.log(0.6), -math.log(0.4), 2.5], [2.5] * 3, [-math.log(0.95), 2.5, 2.5]]
    np.testing.assert_allclose(costs, wanted, atol=1e-6)


def test_robust_pn_that_forgives_no_pixel_is_pn_potts() -> None:
    p = CrfParameters(truncation=0.05, size_exponent=0)
    regions, q = np.zeros(15, dtype=np.int32), draw(3, 15, 2, 1) * [0.1, 0.1] + [0.9, 0]
    q = q.astype(np.float32)
    messages = [messages_of(RegionTerms(model, regions, draw(4, 15, 2), p), q, p) for model in MODELS]
    assert np.ptp(messages[0], axis=0).min() > 0.1
    np.testing.assert_allclose(messages[1], messages[0], atol=1e-5)


def test_the_product_of_a_large_region_does_not_run_into_zero() -> None:
    """A hundred thousand factors, most of the product lost on a single pixel, which itself does not feel that loss."""
    q = np.full((100_000, 2), 0.9999)
    q[7] = 1e-6
    q[:, 1] = 1 - q[:, 0]
    q = q.astype(np.float32)
    logs = np.log(q[:, 0].astype(np.float64))
    wanted = np.exp(logs.sum() - logs)
    p = CrfParameters()
    terms = RegionTerms("pn_potts", np.zeros(len(q), dtype=np.int32), q, p)
    gains = dense(terms.gains(q), terms.regions, 2)
    np.testing.assert_allclose(gains[0] / (p.gamma_max + math.log(q[:, 0].mean())), wanted, rtol=1e-4)
    assert wanted[7] > 1e-5 > 1e-9 > wanted[8] and not gains[1].any()


def exact_slope(q: np.ndarray, begins: float) -> float:
    """E[(n + 1 - t)_+ - (n - t)_+] of independent pixels `q` (N,)."""
    mass = np.ones(1)
    for p in q.tolist():
        mass = np.convolve(mass, [1 - p, p])
    count = np.arange(mass.size)
    return float((mass * (np.maximum(count + 1 - begins, 0) - np.maximum(count - begins, 0))).sum())


PROFILES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "doubtful": lambda rng, n: rng.beta(*rng.uniform(0.3, 4, 2), n),
    "two groups": lambda rng, n: np.where(rng.random(n) < 0.75, rng.uniform(0.7, 1, n), rng.uniform(0, 0.3, n)),
    "twenty doubtful": lambda rng, n: np.where(np.arange(n) < 20, 0.5, np.arange(n) % 3 > 0),
    "certain but for a few": lambda rng, n: np.abs((rng.random(n) < 0.7) - rng.exponential(1 / n, n).clip(0, 0.5)),
    "nearly certain": lambda rng, n: np.abs((rng.random(n) < 0.7) - rng.exponential(5 / n, n).clip(0, 0.5)),
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("pixels", [10, 32, 33, 50, 130, 700])
def test_large_regions_are_within_a_hundredth_of_the_exact_slope(profile: str, pixels: int) -> None:
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(20):
        q = np.zeros((pixels, 2), dtype=np.float32)
        q[:, 0] = PROFILES[profile](rng, pixels)
        q[:, 1] = 1 - q[:, 0]
        # where the term begins is put near the expected count, where the slope is hardest to know
        begins = q[:, 0].sum() + rng.uniform(-2, 2) * math.sqrt((q[:, 0] * q[:, 1]).sum())
        truncation = float(np.clip(1 - begins / pixels, 0.05, 0.5))
        terms = RegionTerms("robust_pn", np.zeros(pixels, np.int32), q, CrfParameters(truncation=truncation))
        gains = dense(terms.gains(q), terms.regions, 2)
        for i in rng.integers(pixels, size=3):
            slope = exact_slope(np.delete(q[:, 0].astype(np.float64), i), pixels * (1 - truncation))
            errors.append(abs(gains[0, i] / terms.drops[0, 0] - slope))
    assert np.max(errors) < (1e-5 if pixels <= 32 else 0.01)


@pytest.mark.parametrize("model", MODELS)
def test_mean_field_adds_the_messages_to_the_unary_before_each_step(model: HigherOrder) -> None:
    rng = np.random.default_rng(1)
    unary = softmax_unary(rng.random((3, 4, 5)), 4)
    regions = np.repeat([[0, 0, 1, 2, 2], [3, 3, 1, 1, 2]], 2, axis=0)
    p = CrfParameters(4, higher_order_weight=1.5, truncation=0.5, **NO_PAIRWISE)
    energies, flat = unary.reshape(3, -1).astype(np.float64), regions.ravel()
    probabilities = q = softmax(-energies)
    for _ in range(4):
        messages = region_messages_by_hand(model, flat, q.T, probabilities.T, p)
        q = softmax(-energies - 1.5 * messages)
    marginals = dense_crf(np.zeros((4, 5, 3), np.uint8), unary, regions=regions, higher_order=model, parameters=p)
    np.testing.assert_allclose(marginals.reshape(3, -1), q, atol=1e-5)
    assert np.abs(q - softmax(-energies)).max() > 0.1
