"""Weakly-supervised losses of a single image (Sec. 3.2).

Each loss takes scores (N, H, W) before the softmax, background first, and `labels` L: the image's tags as class indices
plus 0, the background. L̄ are the other classes, S^k the softmax probability of class k. Masks are (H, W) integer
tensors on the device of the scores. Computation is in float32 regardless of autocast (float64 is kept); the result is a
scalar tensor with a gradient with respect to the scores.

Value and gradient are computed together in closed form. This keeps 1 - S and the gradient of its logarithm accurate for
confident predictions, and needs a third of the passes over a full-size map that automatic differentiation takes.
Nothing synchronises with the device, so a GPU never waits.

Degenerate cases have defined results, without NaN:
- a tagged class with an empty mask: its term is omitted, and the mean is over the remaining terms;
- a mask that covers the whole image: the background's term is omitted;
- an image without tags: L is the background alone, and terms over foreground tags vanish;
- all classes tagged: terms over absent classes vanish;
- S exactly 0 or 1: logarithms are clipped at that of the smallest normal float32, about -87.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tagseg.images.palette import IGNORE

_TINY = torch.finfo(torch.float32).tiny


def tag_loss(scores: Tensor, labels: Sequence[int], *, r: float = 5.0) -> Tensor:
    """Eq. 10, tags only: -(1/|L|) Σ_{k∈L} log S^k_I - (1/|L̄|) Σ_{k∉L} log(1 - S^k_I).

    S^k_I is S^k pooled over the image (Eq. 11) with parameter `r`.
    """
    terms = _LossTerms(scores, r)
    terms.present(labels, torch.ones_like(terms.probabilities[:1], dtype=torch.bool))
    terms.absent_from_image(labels)
    return terms.loss()


def fgbg_loss(scores: Tensor, labels: Sequence[int], mask: Tensor, *, r: float = 5.0) -> Tensor:
    """Eqs. 12-14, with a foreground mask M (H, W): 1 foreground, 0 background, 255 ignored.

    -(1/(|L|-1)) Σ_{k∈L,k≠0} log S^k_{M=1} - log S^0_{M=0} - (1/(|L̄||I|)) Σ_{ij} Σ_{k∉L} log(1 - S^k_ij).
    """
    flat = mask.flatten()
    terms = _LossTerms(scores, r)
    terms.present([k for k in labels if k != 0], (flat == 1)[None])
    terms.present([0], (flat == 0)[None])
    terms.absent_from_pixels(labels, flat != IGNORE)
    return terms.loss()


def multiclass_loss(scores: Tensor, labels: Sequence[int], mask: Tensor, *, r: float = 5.0) -> Tensor:
    """Eqs. 15 and 16, with a label map (H, W), 255 ignored; M_k are the pixels labelled k.

    -(1/|L|) Σ_{k∈L} log S^k_{M_k} - (1/(|L̄||I|)) Σ_{ij} Σ_{k∉L} log(1 - S^k_ij).
    """
    flat = mask.flatten()
    terms = _LossTerms(scores, r)
    terms.present(labels, flat == _to_device(labels, mask.device)[:, None])
    terms.absent_from_pixels(labels, flat != IGNORE)
    return terms.loss()


def empty_masks(mask: Tensor, labels: Sequence[int]) -> int:
    """Number of `labels` without a pixel in a label map (H, W): the terms that `multiclass_loss` omits."""
    return sum(not bool((mask == k).any()) for k in labels)


class _LossTerms:
    """Accumulates the terms of a loss of scores (N, H, W): their value, and dL / d log S of each class and pixel.

    `probabilities` is S and `complements` 1 - S, both (N, P). The largest probability of a pixel rounds to 1 long
    before the others underflow, so its complement is computed as the sum of the others.
    """

    @torch.no_grad()
    def __init__(self, scores: Tensor, r: float):
        self._scores = scores
        self._r = r
        flat = scores.flatten(1)
        self.probabilities = (flat if flat.dtype == torch.float64 else flat.float()).softmax(dim=0)
        self._winner = self.probabilities.argmax(dim=0, keepdim=True)
        others = self._without_winner(self.probabilities)
        self.complements = (1 - self.probabilities).scatter_(0, self._winner, others).clamp_(min=_TINY)
        self._value = self.probabilities.new_zeros(())
        self._log_gradient = torch.zeros_like(self.probabilities)

    @torch.no_grad()
    def present(self, classes: Sequence[int], inside: Tensor) -> None:
        """Add the mean over `classes` of -log S^k_A (Eqs. 11, 13, 14, 16); A are the pixels `inside` (k or 1, P) bool.

        Classes with an empty A are omitted from the mean.
        """
        if not classes:
            return
        rows = _to_device(classes, inside.device)
        probabilities = self.probabilities[rows]
        count = inside.sum(dim=1)
        excess = torch.expm1(self._r * probabilities) * inside
        total = excess.sum(dim=1)
        pooled = (torch.log1p(total / count.clamp(min=1)) / self._r).clamp(min=_TINY)
        found = (count > 0).to(probabilities.dtype).expand(len(rows))
        weights = found / found.sum().clamp(min=1)
        self._value -= (weights * pooled.log()).sum()
        # dS_A/dS = exp(r S) / Σ exp(r S) inside A; S / S_A is computed first, so that neither overflows
        factor = weights / (count + total).clamp(min=1)
        self._log_gradient[rows] -= (probabilities / pooled[:, None]).mul_(excess.add_(inside)).mul_(factor[:, None])

    @torch.no_grad()
    def absent_from_image(self, labels: Sequence[int]) -> None:
        """Add -(1/|L̄|) Σ_{k∉L} log(1 - S^k_I) of Eq. 10.

        1 - S_I is computed as -(1/r) log( mean exp(-r (1 - S)) ), which is accurate for S close to 1.
        """
        rows = self._absent(labels)
        if not len(rows):
            return
        decrease = torch.expm1(-self._r * self.complements[rows])
        pooled = (-torch.log1p(decrease.mean(dim=1)) / self._r).clamp(min=_TINY)
        self._value -= pooled.log().mean()
        weights = (decrease + 1) / (decrease + 1).sum(dim=1, keepdim=True)
        self._log_gradient[rows] += self.probabilities[rows] * weights / pooled[:, None] / len(rows)

    @torch.no_grad()
    def absent_from_pixels(self, labels: Sequence[int], kept: Tensor) -> None:
        """Add -(1/(|L̄||I|)) Σ_{ij} Σ_{k∉L} log(1 - S^k_ij) of Eqs. 12 and 15; I are the pixels `kept` (P,) bool."""
        rows = self._absent(labels)
        if not len(rows):
            return
        factor = kept / (kept.sum().clamp(min=1) * len(rows))
        complements = self.complements[rows]
        self._value -= (complements.log().sum(dim=0) * factor).sum()
        self._log_gradient[rows] += (self.probabilities[rows] / complements).mul_(factor)

    def loss(self) -> Tensor:
        """The sum of the terms, as a scalar that passes on its gradient to the scores."""
        loss: Tensor = _PrecomputedGradient.apply(self._scores, self._value, self._gradient())
        return loss

    @torch.no_grad()
    def _gradient(self) -> Tensor:
        """Backpropagate through the softmax: dL/dz_j = h_j (1 - S_j) - S_j Σ_{k≠j} h_k, with h = dL / d log S.

        h of the winning class can reach 1e38 where the prediction is confident and wrong, so it must not be part of the
        sum in the winner's own gradient, not even to be subtracted again.
        """
        others = self._without_winner(self._log_gradient)
        winner = self._log_gradient.gather(0, self._winner)
        gradient = self._log_gradient * self.complements
        winner_gradient = gradient.gather(0, self._winner) - self.probabilities.gather(0, self._winner) * others
        gradient -= (others + winner - self._log_gradient).mul_(self.probabilities)
        return gradient.scatter_(0, self._winner, winner_gradient).view(self._scores.shape)

    def _without_winner(self, values: Tensor) -> Tensor:
        """Sum of (N, P) over all classes but the most probable one of each pixel: (1, P)."""
        return values.scatter(0, self._winner, 0).sum(dim=0, keepdim=True)

    def _absent(self, labels: Sequence[int]) -> Tensor:
        absent = [k for k in range(len(self.probabilities)) if k not in labels]
        return _to_device(absent, self.probabilities.device)


def _to_device(values: Sequence[int], device: torch.device) -> Tensor:
    """Class indices as a tensor on `device`, without synchronising with it."""
    return torch.tensor(values, dtype=torch.long).to(device, non_blocking=True)


class _PrecomputedGradient(torch.autograd.Function):
    """A scalar whose gradient with respect to the scores has been computed already."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient.to(scores.dtype))
        return value

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[0].to(gradient.dtype), None, None
