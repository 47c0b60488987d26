"""The losses against loops over pixels, their gradients, and the images that the paper does not name."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tagseg.images.palette import IGNORE
from tagseg.networks.losses import empty_masks, fgbg_loss, multiclass_loss, tag_loss

R = 5.0
Loss = Callable[[Tensor], Tensor]


def softmax_loop(scores: Tensor) -> dict[tuple[int, int], list[Tensor]]:
    """S^k_ij by pixel, from (N, H, W)."""
    classes, height, width = scores.shape
    shares = {}
    for i in range(height):
        for j in range(width):
            terms = [scores[k, i, j].exp() for k in range(classes)]
            shares[i, j] = [term / sum(terms) for term in terms]
    return shares


def pooled(shares: dict, k: int, pixels: list[tuple[int, int]]) -> Tensor:
    return torch.log(sum(torch.exp(R * shares[p][k]) for p in pixels) / len(pixels)) / R


def lse_pool(probabilities: Tensor, r: float) -> Tensor:
    """Log-sum-exp pooling (Eqs. 11, 13, 14, 16): (..., P) in [0, 1] -> (...), between the mean and the maximum.

    (1/r) log( (1/P) Σ exp(r S) ), computed with expm1 and log1p, which are accurate for small probabilities.
    """
    return torch.log1p(torch.expm1(r * probabilities).mean(dim=-1)) / r


def where(mask: Tensor, value: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(mask.shape[0]) for j in range(mask.shape[1]) if int(mask[i, j]) == value]


def absent_loop(shares: dict, labels: list[int], classes: int, pixels: list[tuple[int, int]]) -> Tensor:
    absent = [k for k in range(classes) if k not in labels]
    terms = [torch.log(1 - shares[p][k]) for p in pixels for k in absent]
    return -sum(terms) / (len(absent) * len(pixels)) if terms else torch.zeros((), dtype=torch.float64)


def tag_reference(scores: Tensor, labels: list[int]) -> Tensor:
    shares = softmax_loop(scores)
    every = list(shares)
    absent = [k for k in range(len(scores)) if k not in labels]
    loss = -sum(torch.log(pooled(shares, k, every)) for k in labels) / len(labels)
    if absent:
        loss = loss - sum(torch.log(1 - pooled(shares, k, every)) for k in absent) / len(absent)
    return loss


def fgbg_reference(scores: Tensor, labels: list[int], mask: Tensor) -> Tensor:
    shares = softmax_loop(scores)
    inside, outside = where(mask, 1), where(mask, 0)
    loss = absent_loop(shares, labels, len(scores), [p for p in shares if int(mask[p]) != IGNORE])
    if len(labels) > 1 and inside:
        loss = loss - sum(torch.log(pooled(shares, k, inside)) for k in labels if k) / (len(labels) - 1)
    if outside:
        loss = loss - torch.log(pooled(shares, 0, outside))
    return loss


def multiclass_reference(scores: Tensor, labels: list[int], mask: Tensor) -> Tensor:
    shares = softmax_loop(scores)
    loss = absent_loop(shares, labels, len(scores), [p for p in shares if int(mask[p]) != IGNORE])
    terms = [torch.log(pooled(shares, k, where(mask, k))) for k in labels if where(mask, k)]
    return loss - sum(terms) / len(terms) if terms else loss


def random_scores(classes: int = 5, height: int = 3, width: int = 4, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(classes, height, width, generator=generator, dtype=torch.float64)


FGBG = torch.tensor([[0, 1, 1, 0], [0, 1, 255, 0], [0, 0, 255, 1]], dtype=torch.uint8)
MULTI = torch.tensor([[0, 2, 2, 0], [4, 2, 255, 0], [4, 4, 255, 0]], dtype=torch.uint8)
NOTHING_TAGGED, ALL_TAGGED = [0], [0, 1, 2, 3, 4]

CASES = {
    "tags": (lambda s: tag_loss(s, [0, 2, 4]), lambda s: tag_reference(s, [0, 2, 4])),
    "tags none": (lambda s: tag_loss(s, [0]), lambda s: tag_reference(s, [0])),
    "tags all": (lambda s: tag_loss(s, ALL_TAGGED), lambda s: tag_reference(s, ALL_TAGGED)),
    "fgbg": (lambda s: fgbg_loss(s, [0, 2, 4], FGBG), lambda s: fgbg_reference(s, [0, 2, 4], FGBG)),
    "fgbg none": (lambda s: fgbg_loss(s, [0], FGBG), lambda s: fgbg_reference(s, [0], FGBG)),
    "fgbg all": (lambda s: fgbg_loss(s, ALL_TAGGED, FGBG), lambda s: fgbg_reference(s, ALL_TAGGED, FGBG)),
    "multi": (lambda s: multiclass_loss(s, [0, 2, 4], MULTI), lambda s: multiclass_reference(s, [0, 2, 4], MULTI)),
    "multi none": (lambda s: multiclass_loss(s, [0], MULTI), lambda s: multiclass_reference(s, [0], MULTI)),
    "multi all": (
        lambda s: multiclass_loss(s, ALL_TAGGED, MULTI),
        lambda s: multiclass_reference(s, ALL_TAGGED, MULTI),
    ),
    "multi empty": (
        lambda s: multiclass_loss(s, [0, 1, 2], MULTI),
        lambda s: multiclass_reference(s, [0, 1, 2], MULTI),
    ),
}


def value_and_gradient(loss: Loss, scores: Tensor) -> tuple[Tensor, Tensor]:
    leaf = scores.clone().requires_grad_()
    value = loss(leaf)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach().double(), gradient.double()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_value_and_gradient_equal_loops_over_pixels(name: str, seed: int) -> None:
    loss, reference = CASES[name]
    scores = random_scores(seed=seed)
    value, gradient = value_and_gradient(loss, scores)
    wanted, wanted_gradient = value_and_gradient(reference, scores)
    torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, wanted_gradient, rtol=1e-4, atol=1e-6)
    assert gradient.abs().max() > 1e-3


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sureness", [1, 12])
def test_gradcheck(name: str, sureness: float) -> None:
    scores = (sureness * random_scores(seed=3)).requires_grad_()
    assert torch.autograd.gradcheck(CASES[name][0], scores)


@pytest.mark.parametrize("name", CASES)
def test_float32_keeps_the_gradient_of_a_network_that_is_sure_of_itself(name: str) -> None:
    loss, _ = CASES[name]
    scores = 20 * random_scores(seed=5)  # shares down to e^-100, and 1 - S far below a float's last digit
    value, gradient = value_and_gradient(loss, scores.float())
    wanted, wanted_gradient = value_and_gradient(loss, scores)
    torch.testing.assert_close(value, wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gradient, wanted_gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("r", [0.5, 5.0, 50.0])
def test_lse_pool_equals_its_formula(r: float) -> None:
    values = torch.rand(3, 7, generator=torch.Generator().manual_seed(0))
    wanted = [math.log(sum(math.exp(r * v) for v in row) / len(row)) / r for row in values.double().tolist()]
    torch.testing.assert_close(lse_pool(values, r), torch.tensor(wanted), rtol=1e-5, atol=1e-6)


def test_lse_pool_lies_between_mean_and_maximum() -> None:
    values = torch.rand(40, generator=torch.Generator().manual_seed(0))
    assert float(lse_pool(values, 1e-3)) == pytest.approx(float(values.mean()), abs=1e-3)
    assert float(values.mean()) < float(lse_pool(values, 5.0)) < float(values.max())
    # the largest value stands alone, so the sum is e^(r max) and the mean takes log(40) / r off
    assert float(lse_pool(values, 80.0)) == pytest.approx(float(values.max()), abs=math.log(40) / 80 + 1e-4)


def test_lse_pool_keeps_the_digits_of_small_probabilities() -> None:
    assert float(lse_pool(torch.full((9,), 1e-12), R)) == pytest.approx(1e-12, rel=1e-5)


def test_r_of_the_losses_is_the_pooling_s() -> None:
    scores = random_scores()
    pool = lse_pool(scores.softmax(0).flatten(1), 2.0)
    wanted = -(pool[0].log() + pool[3].log()) / 2 - torch.log(1 - pool[[1, 2, 4]]).mean()
    torch.testing.assert_close(tag_loss(scores, [0, 3], r=2.0), wanted, rtol=1e-5, atol=1e-6)


def test_an_image_without_a_tag_leaves_background_and_absence() -> None:
    scores = random_scores()
    mask = torch.ones(3, 4, dtype=torch.uint8)
    absent = absent_loop(softmax_loop(scores), [0], 5, where(mask, 1))
    assert float(fgbg_loss(scores, [0], mask)) == pytest.approx(float(absent), rel=1e-5)


def test_a_mask_that_is_empty_drops_its_term() -> None:
    scores = random_scores()
    torch.testing.assert_close(
        multiclass_loss(scores, [0, 2, 3, 4], MULTI).double(),
        multiclass_reference(scores, [0, 2, 3, 4], MULTI),
        rtol=1e-5,
        atol=1e-6,
    )
    # the mean is over the terms that remain: class 3 changes the set of absent classes and nothing else
    shares = softmax_loop(scores)
    kept = [p for p in shares if int(MULTI[p]) != IGNORE]
    gap = absent_loop(shares, [0, 2, 3, 4], 5, kept) - absent_loop(shares, [0, 2, 4], 5, kept)
    without = multiclass_loss(scores, [0, 2, 4], MULTI).double()
    torch.testing.assert_close(multiclass_loss(scores, [0, 2, 3, 4], MULTI).double() - without, gap, rtol=0, atol=1e-6)


def test_empty_masks_counts_labels_without_a_pixel() -> None:
    assert empty_masks(MULTI, [0, 2, 4]) == 0
    assert empty_masks(MULTI, [0, 1, 2, 3]) == 2
    assert empty_masks(torch.full((2, 2), IGNORE), [0, 1]) == 2


def test_no_foreground_in_the_mask_leaves_background_s_term() -> None:
    scores, mask = random_scores(), torch.zeros(3, 4, dtype=torch.uint8)
    wanted = fgbg_reference(scores, [0, 2], mask)
    torch.testing.assert_close(fgbg_loss(scores, [0, 2], mask).double(), wanted, rtol=1e-5, atol=1e-6)


def test_a_mask_that_covers_the_image_leaves_its_class_s_term() -> None:
    scores = random_scores()
    full = torch.ones(3, 4, dtype=torch.uint8)
    shares = softmax_loop(scores)
    own = -torch.log(pooled(shares, 2, list(shares))) + absent_loop(shares, [0, 2], 5, list(shares))
    assert float(fgbg_loss(scores, [0, 2], full)) == pytest.approx(float(own), rel=1e-5)
    assert float(multiclass_loss(scores, [0, 2], 2 * full)) == pytest.approx(float(own), rel=1e-5)


def test_an_image_ignored_throughout_costs_nothing() -> None:
    scores = random_scores().requires_grad_()
    mask = torch.full((3, 4), IGNORE, dtype=torch.uint8)
    for loss in (fgbg_loss(scores, [0, 1], mask), multiclass_loss(scores, [0, 1], mask)):
        assert loss.item() == 0
        (gradient,) = torch.autograd.grad(loss, scores)
        assert not gradient.any()


@pytest.mark.parametrize("of_mask", [fgbg_loss, multiclass_loss])
def test_ignored_pixels_have_no_say(of_mask: Callable[..., Tensor]) -> None:
    mask = torch.tensor([[0, 1, 255, 0]], dtype=torch.uint8)
    scores = random_scores(4, 1, 4)
    other = scores.clone()
    other[:, 0, 2] = torch.tensor([9.0, -9.0, 4.0, 30.0])
    assert float(of_mask(scores, [0, 1], mask)) == float(of_mask(other, [0, 1], mask))
    other[:, 0, 3] = torch.tensor([9.0, -9.0, 4.0, 30.0])
    assert float(of_mask(scores, [0, 1], mask)) != float(of_mask(other, [0, 1], mask))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("winner", [0, 1, 2, 4])
def test_probabilities_of_exactly_0_and_1_stay_finite(name: str, winner: int) -> None:
    loss, _ = CASES[name]
    scores = torch.full((5, 3, 4), -200.0)
    scores[winner] = 200.0
    assert set(scores.softmax(0).unique().tolist()) == {0.0, 1.0}
    value, gradient = value_and_gradient(loss, scores)
    assert -1e-4 < float(value) < 300
    assert torch.isfinite(gradient).all()


def test_a_certain_and_right_prediction_costs_nothing() -> None:
    labels = MULTI.where(MULTI != IGNORE, torch.zeros_like(MULTI)).long()
    scores = torch.full((5, 3, 4), -200.0).scatter_(0, labels[None], 200.0)
    assert float(multiclass_loss(scores, [0, 2, 4], labels)) == pytest.approx(0, abs=1e-6)


def test_being_certain_and_wrong_costs_more_than_the_doubtful() -> None:
    certain = torch.zeros(3, 2, 2)
    certain[2] = 200
    mask = torch.zeros(2, 2, dtype=torch.uint8)
    for loss in (
        lambda s: tag_loss(s, [0, 1]),
        lambda s: fgbg_loss(s, [0, 1], mask),
        lambda s: multiclass_loss(s, [0, 1], mask),
    ):
        assert float(loss(certain)) > float(loss(certain / 50)) > float(loss(certain * 0))


def test_log_of_1_minus_s_keeps_its_digits_near_1() -> None:
    # background at 0, the absent class at 30: 1 - S = e^-30 to float precision, where float32's 1 - S is 0
    scores = torch.tensor([0.0, 30.0]).view(2, 1, 1)
    mask = torch.zeros(1, 1, dtype=torch.uint8)
    wanted = 30 + 30  # -log S^0, and -log(1 - S^1)
    assert float(multiclass_loss(scores, [0], mask)) == pytest.approx(wanted, rel=1e-6)
    assert float(tag_loss(scores, [0])) == pytest.approx(wanted, rel=1e-6)


def test_two_classes() -> None:
    scores = random_scores(2)
    mask = (torch.arange(12).view(3, 4) % 2).to(torch.uint8)
    for labels in ([0], [0, 1]):
        pairs = [
            (tag_loss(scores, labels), tag_reference(scores, labels)),
            (fgbg_loss(scores, labels, mask), fgbg_reference(scores, labels, mask)),
            (multiclass_loss(scores, labels, mask), multiclass_reference(scores, labels, mask)),
        ]
        for value, wanted in pairs:
            torch.testing.assert_close(value.double(), wanted, rtol=1e-5, atol=1e-6)
    # with two classes and one kind of mask, Eq. 12 is the sum where Eq. 15 is the mean
    both, mean = fgbg_loss(scores, [0, 1], mask), multiclass_loss(scores, [0, 1], mask)
    torch.testing.assert_close(both, 2 * mean)


@pytest.mark.parametrize("name", ["tags", "fgbg", "multi"])
def test_float32_whatever_the_autocast(name: str) -> None:
    loss, _ = CASES[name]
    half = random_scores().to(torch.bfloat16)
    plain = loss(half.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = loss(half)
    assert cast.dtype == torch.float32
    assert float(cast) == float(plain)
