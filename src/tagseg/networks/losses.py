"""Weakly-supervised losses (the paper's 3.2), each of one image.

Every function takes scores (N, H, W) before the softmax, background first, and labels L of the image's tags plus
background; computes in float32 whatever the autocast; and returns a scalar tensor. S is the softmax over classes.

Degenerate cases, none of which may give a NaN or stop a training:
- a tagged class whose mask is empty: its term is left out and the mean is over the terms that remain;
- an image without a tag: L holds background alone, the terms over foreground tags vanish;
- every class tagged: the terms over absent classes vanish;
- S at exactly 0 or 1: logarithms are cut off at the smallest normal float32, about -87.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tagseg.labels import IGNORE

_TINY = torch.finfo(torch.float32).tiny
_LOWEST_LOG = math.log(_TINY)


def lse_pool(probabilities: Tensor, r: float) -> Tensor:
    """Log-sum-exp pooling (Eqs. 11, 13, 14, 16): (..., P) in [0, 1] -> (...), between the mean and the maximum.

    (1/r) log( (1/P) Σ exp(r S) ), written with expm1 and log1p so that small probabilities keep their digits.
    """
    return torch.log1p(torch.expm1(r * probabilities).mean(dim=-1)) / r


def tag_loss(scores: Tensor, labels: Sequence[int], *, r: float = 5.0) -> Tensor:
    """Eq. 10, tags only: -(1/|L|) Σ_{k∈L} log S^k_I - (1/|L̄|) Σ_{k∉L} log(1 - S^k_I), S^k_I pooled over the image."""
    log_s, log_rest = _log_probabilities(scores.flatten(1))
    absent = _absent(labels, scores.shape[0], scores.device)
    loss = -_log(lse_pool(log_s[list(labels)].exp(), r)).mean()
    if absent.numel():
        # 1 - S_I = -(1/r) log( mean exp(-r (1 - S)) ), exact where S is close to 1
        rest = -torch.log1p(torch.expm1(-r * log_rest[absent].exp()).mean(dim=-1)) / r
        loss = loss - _log(rest).mean()
    return loss


def fgbg_loss(scores: Tensor, labels: Sequence[int], mask: Tensor, *, r: float = 5.0) -> Tensor:
    """Eqs. 12-14, with a foreground mask (H, W): 1 foreground, 0 background, 255 ignored.

    -(1/(|L|-1)) Σ_{k∈L,k≠0} log S^k_{M=1} - log S^0_{M=0} - (1/(|L̄||I|)) Σ_{ij} Σ_{k∉L} log(1 - S^k_ij).
    """
    log_s, log_rest = _log_probabilities(scores.flatten(1))
    flat = mask.flatten()
    loss = _absent_pixels(log_rest, labels, flat)
    foreground, background = flat == 1, flat == 0
    tagged = [k for k in labels if k != 0]
    if tagged and bool(foreground.any()):
        loss = loss - _log(lse_pool(log_s[tagged][:, foreground].exp(), r)).mean()
    if bool(background.any()):
        loss = loss - _log(lse_pool(log_s[0, background].exp(), r))
    return loss


def multiclass_loss(scores: Tensor, labels: Sequence[int], mask: Tensor, *, r: float = 5.0) -> Tensor:
    """Eqs. 15, 16, with a label map (H, W), 255 ignored; M_k is where it equals k.

    -(1/|L|) Σ_{k∈L} log S^k_{M_k} - (1/(|L̄||I|)) Σ_{ij} Σ_{k∉L} log(1 - S^k_ij).
    """
    log_s, log_rest = _log_probabilities(scores.flatten(1))
    flat = mask.flatten()
    loss = _absent_pixels(log_rest, labels, flat)
    terms = [_log(lse_pool(log_s[k, flat == k].exp(), r)) for k in labels if bool((flat == k).any())]
    return loss - torch.stack(terms).mean() if terms else loss


def empty_masks(mask: Tensor, labels: Sequence[int]) -> int:
    """How many of `labels` have no pixel in a label map: the terms that `multiclass_loss` leaves out."""
    return sum(not bool((mask == k).any()) for k in labels)


def _log(values: Tensor) -> Tensor:
    return values.clamp(min=_TINY).log()


def _log_probabilities(scores: Tensor) -> tuple[Tensor, Tensor]:
    """log S and log(1 - S) of scores (N, P), both float32 and finite.

    Where class k wins a pixel, 1 - S is the others' share, a log-sum-exp of its own, so that no digits cancel as
    S -> 1; elsewhere S is at most one half and log1p is exact.
    """
    with torch.autocast(scores.device.type, enabled=False):
        scores = scores.float()
        log_s = scores.log_softmax(dim=0)
        winner = scores.argmax(dim=0, keepdim=True)
        won = torch.zeros_like(scores, dtype=torch.bool).scatter_(0, winner, True)
        others = scores.masked_fill(won, -torch.inf).logsumexp(dim=0) - scores.logsumexp(dim=0)
        # the inner where keeps the branch not taken from sending a NaN gradient
        log_rest = torch.where(won, others, torch.log1p(-log_s.exp().masked_fill(won, 0)))
        return log_s.clamp(min=_LOWEST_LOG), log_rest.clamp(min=_LOWEST_LOG)


def _absent(labels: Sequence[int], classes: int, device: torch.device) -> Tensor:
    return torch.tensor([k for k in range(classes) if k not in labels], dtype=torch.long, device=device)


def _absent_pixels(log_rest: Tensor, labels: Sequence[int], flat_mask: Tensor) -> Tensor:
    """-(1/(|L̄||I|)) Σ_{ij} Σ_{k∉L} log(1 - S^k_ij), over the pixels that the mask does not ignore."""
    absent = _absent(labels, log_rest.shape[0], log_rest.device)
    kept = flat_mask != IGNORE
    if not absent.numel() or not bool(kept.any()):
        return log_rest.sum() * 0
    return -log_rest[absent][:, kept].mean()
