"""Weakly-supervised losses (the paper's 3.2), each of one image.

Every function takes scores (N, H, W) before the softmax, background first, and labels L of the image's tags plus
background; computes in float32 whatever the autocast (float64 stays); and returns a scalar tensor. S is the softmax
over classes.

Value and gradient are worked out together, in closed form: a pixel's 1 - S and the gradient of its logarithm keep
their digits however sure the network is, and a full-size map is passed over a third as often as by automatic
differentiation. Nothing asks the device for a value, so on a GPU the loss never waits.

Degenerate cases, none of which may give a NaN or stop a training:
- a tagged class whose mask is empty: its term is left out and the mean is over the terms that remain;
- an image without a tag: L holds background alone, the terms over foreground tags vanish;
- every class tagged: the terms over absent classes vanish;
- S at exactly 0 or 1: logarithms are cut off at the smallest normal float32, about -87.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tagseg.labels import IGNORE

_TINY = torch.finfo(torch.float32).tiny


def lse_pool(probabilities: Tensor, r: float) -> Tensor:
    """Log-sum-exp pooling (Eqs. 11, 13, 14, 16): (..., P) in [0, 1] -> (...), between the mean and the maximum.

    (1/r) log( (1/P) Σ exp(r S) ), written with expm1 and log1p so that small probabilities keep their digits.
    """
    return torch.log1p(torch.expm1(r * probabilities).mean(dim=-1)) / r


def tag_loss(scores: Tensor, labels: Sequence[int], *, r: float = 5.0) -> Tensor:
    """Eq. 10, tags only: -(1/|L|) Σ_{k∈L} log S^k_I - (1/|L̄|) Σ_{k∉L} log(1 - S^k_I), S^k_I pooled over the image."""
    terms = _Terms(scores, r)
    terms.present(labels, torch.ones_like(terms.shares[:1], dtype=torch.bool))
    terms.absent_from_image(labels)
    return terms.loss()


def fgbg_loss(scores: Tensor, labels: Sequence[int], mask: Tensor, *, r: float = 5.0) -> Tensor:
    """Eqs. 12-14, with a foreground mask (H, W): 1 foreground, 0 background, 255 ignored.

    -(1/(|L|-1)) Σ_{k∈L,k≠0} log S^k_{M=1} - log S^0_{M=0} - (1/(|L̄||I|)) Σ_{ij} Σ_{k∉L} log(1 - S^k_ij).
    """
    flat = mask.flatten()
    terms = _Terms(scores, r)
    terms.present([k for k in labels if k != 0], (flat == 1)[None])
    terms.present([0], (flat == 0)[None])
    terms.absent_from_pixels(labels, flat != IGNORE)
    return terms.loss()


def multiclass_loss(scores: Tensor, labels: Sequence[int], mask: Tensor, *, r: float = 5.0) -> Tensor:
    """Eqs. 15, 16, with a label map (H, W), 255 ignored; M_k is where it equals k.

    -(1/|L|) Σ_{k∈L} log S^k_{M_k} - (1/(|L̄||I|)) Σ_{ij} Σ_{k∉L} log(1 - S^k_ij).
    """
    flat = mask.flatten()
    terms = _Terms(scores, r)
    terms.present(labels, flat == _sent(labels, mask.device)[:, None])
    terms.absent_from_pixels(labels, flat != IGNORE)
    return terms.loss()


def empty_masks(mask: Tensor, labels: Sequence[int]) -> int:
    """How many of `labels` have no pixel in a label map: the terms that `multiclass_loss` leaves out."""
    return sum(not bool((mask == k).any()) for k in labels)


class _Terms:
    """Terms of a loss of scores (N, H, W): their value, and their slope dL / d log S of each class and pixel.

    `shares` is S and `rest` 1 - S, both (N, P). The largest share of a pixel is rounded to 1 long before the others
    are lost, so its rest is the sum of the others.
    """

    @torch.no_grad()
    def __init__(self, scores: Tensor, r: float):
        self._scores = scores
        self._r = r
        flat = scores.flatten(1)
        self.shares = (flat if flat.dtype == torch.float64 else flat.float()).softmax(dim=0)
        self._winner = self.shares.argmax(dim=0, keepdim=True)
        self.rest = (1 - self.shares).scatter_(0, self._winner, self._without_winner(self.shares)).clamp_(min=_TINY)
        self._value = self.shares.new_zeros(())
        self._slope = torch.zeros_like(self.shares)

    @torch.no_grad()
    def present(self, classes: Sequence[int], inside: Tensor) -> None:
        """The mean over `classes` of -log S^k_A, A the pixels `inside` (k or 1, P); an empty A is left out of it."""
        if not classes:
            return
        rows = _sent(classes, inside.device)
        shares = self.shares[rows]
        count = inside.sum(dim=1)
        gain = torch.expm1(self._r * shares) * inside
        total = gain.sum(dim=1)
        pooled = (torch.log1p(total / count.clamp(min=1)) / self._r).clamp(min=_TINY)
        found = (count > 0).to(shares.dtype).expand(len(rows))
        weights = found / found.sum().clamp(min=1)
        self._value -= (weights * pooled.log()).sum()
        # dS_A/dS = exp(r S) / Σ exp(r S) inside A; S / S_A first, so that neither overflows
        factor = weights / (count + total).clamp(min=1)
        self._slope[rows] -= (shares / pooled[:, None]).mul_(gain.add_(inside)).mul_(factor[:, None])

    @torch.no_grad()
    def absent_from_image(self, labels: Sequence[int]) -> None:
        """-(1/|L̄|) Σ_{k∉L} log(1 - S^k_I): where S is close to 1, 1 - S_I = -(1/r) log( mean exp(-r (1 - S)) )."""
        rows = self._absent(labels)
        if not len(rows):
            return
        rest = self.rest[rows]
        fall = torch.expm1(-self._r * rest)
        left = (-torch.log1p(fall.mean(dim=1)) / self._r).clamp(min=_TINY)
        self._value -= left.log().mean()
        weights = (fall + 1) / (fall + 1).sum(dim=1, keepdim=True)
        self._slope[rows] += self.shares[rows] * weights / left[:, None] / len(rows)

    @torch.no_grad()
    def absent_from_pixels(self, labels: Sequence[int], kept: Tensor) -> None:
        """-(1/(|L̄||I|)) Σ_{ij} Σ_{k∉L} log(1 - S^k_ij), over the pixels I that are `kept` (P,)."""
        rows = self._absent(labels)
        if not len(rows):
            return
        factor = kept / (kept.sum().clamp(min=1) * len(rows))
        rest = self.rest[rows]
        self._value -= (rest.log().sum(dim=0) * factor).sum()
        self._slope[rows] += (self.shares[rows] / rest).mul_(factor)

    def loss(self) -> Tensor:
        """The sum of the terms, with its gradient to the scores attached."""
        loss: Tensor = _Known.apply(self._scores, self._value, self._gradient())
        return loss

    @torch.no_grad()
    def _gradient(self) -> Tensor:
        """Through the softmax: dL/dz_j = h_j (1 - S_j) - S_j Σ_{k≠j} h_k, h the slopes.

        The winner's slope can be 1e38 where it is wrong and sure of it, so no sum that is not its own may hold it.
        """
        others = self._without_winner(self._slope)
        of_winner = self._slope.gather(0, self._winner)
        gradient = self._slope * self.rest
        of_the_winner = gradient.gather(0, self._winner) - self.shares.gather(0, self._winner) * others
        gradient -= (others + of_winner - self._slope).mul_(self.shares)
        return gradient.scatter_(0, self._winner, of_the_winner).view(self._scores.shape)

    def _without_winner(self, values: Tensor) -> Tensor:
        """Sum over the classes but the winner of each pixel, (1, P)."""
        return values.scatter(0, self._winner, 0).sum(dim=0, keepdim=True)

    def _absent(self, labels: Sequence[int]) -> Tensor:
        absent = [k for k in range(len(self.shares)) if k not in labels]
        return _sent(absent, self.shares.device)


def _sent(values: Sequence[int], device: torch.device) -> Tensor:
    """Small integers on the device, without waiting for the work that is queued there."""
    return torch.tensor(values, dtype=torch.long).to(device, non_blocking=True)


class _Known(torch.autograd.Function):
    """A value whose gradient is known."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient.to(scores.dtype))
        return value

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return gradient * slopes[0].to(gradient.dtype), None, None
