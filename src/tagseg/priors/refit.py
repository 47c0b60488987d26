"""A second round: what a pixel is, learned over all photographs from the first round's own masks.

The first round looks at each photograph alone. Over many of them a class's confident pixels say more: the body of a
person, of which class activation maps show the face. A softmax regression on a trunk's features is fitted to the
first round's marginals and then read at every position. It sees tags and no truth: a pixel chooses among its own
image's labels alone, in training as in use, so a photograph of a cat never teaches what a dog is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_FORBIDDEN = -1e4  # added to the score of a label that is not the image's


@dataclass(frozen=True)
class Samples:
    """Pixels to learn from: features (n, K) float32, and for each its soft labels (n, N), 0 off the image's labels.

    `allowed` (n, N) bool says which labels are the image's.
    """

    features: np.ndarray
    soft: np.ndarray
    allowed: np.ndarray


def pixel_grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the positions of an image that are learned from and read: one to 8 x 8 pixels."""
    return -(-height // 8), -(-width // 8)


def confident_pixels(
    marginals: np.ndarray, count: int, confidence: float, generator: np.random.Generator
) -> np.ndarray:
    """Positions (m,) of pixels to learn from, as many of each label: `count` / L, or all there are.

    `marginals` (L, P) sum to one over labels; a pixel is confident where the largest exceeds `confidence`. Without the
    balance the background, most of any photograph, outvotes every class.
    """
    winner, sure = marginals.argmax(axis=0), marginals.max(axis=0) > confidence
    taken = []
    for label in range(len(marginals)):
        found = np.flatnonzero(sure & (winner == label))
        taken.append(generator.choice(found, min(len(found), count // len(marginals)), replace=False))
    return np.concatenate(taken)


def fit_pixels(samples: Samples, *, decay: float, iterations: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Weight (N, K), bias (N,) and final loss of a softmax regression among a pixel's allowed labels.

    Minimises the mean cross entropy with the soft labels + decay/2 Σ w² over features scaled to deviation 1, by L-BFGS
    from zero. The scale is folded into the weight.
    """
    mean, std = samples.features.mean(axis=0), samples.features.std(axis=0) + 1e-3
    scaled = samples.features - mean
    scaled /= std
    features, soft = torch.from_numpy(scaled), torch.from_numpy(samples.soft)
    bar = torch.from_numpy(np.where(samples.allowed, 0, _FORBIDDEN).astype(np.float32))
    weight = torch.zeros(soft.shape[1], features.shape[1], requires_grad=True)
    bias = torch.zeros(soft.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=iterations, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        logs = F.log_softmax(features @ weight.T + bias + bar, dim=1)
        loss = -(soft * logs).sum(dim=1).mean() + decay / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    loss = float(closure().detach())
    final = weight.detach().numpy() / std
    return final, bias.detach().numpy() - final @ mean, loss


def pixel_maps(features: Tensor, weight: Tensor, bias: Tensor, labels: Sequence[int]) -> Tensor:
    """(K, h, w) features -> (L, h, w): the regression's probabilities among an image's own `labels`."""
    rows = list(labels)
    scores = torch.einsum("lk,khw->lhw", weight[rows], features) + bias[rows, None, None]
    return scores.softmax(dim=0)


def second_round(first: np.ndarray, again: np.ndarray, weight: float) -> np.ndarray:
    """(1 - w) of the first round's maps and w of the regression's, both (L, H, W)."""
    return ((1 - weight) * first + weight * again).astype(np.float32)
