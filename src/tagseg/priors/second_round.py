"""The second round: a pixel classifier trained across all images on the confident pixels of the first round.

The first round treats each image on its own. Across many images, the confident pixels of a class cover more of an
object than any single CAM does: the whole person, where CAMs highlight the face. Softmax regression on a trunk's
features is fitted to the marginals of the first round and then applied at every position. It uses tags but no ground
truth: in training and inference, a pixel chooses among its own image's labels only, so that an image of a cat is never
a negative example for dogs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tagseg.images.interpolation import bilinear, bilinear_at

if TYPE_CHECKING:
    from torch import Tensor

Scales = Sequence[Sequence[np.ndarray]]  # of one image: for each scale, the maps (C, h, w) of each layer
_FORBIDDEN = -1e4  # added to the logits of labels that the image does not have


@dataclass(frozen=True)
class Samples:
    """Training pixels: `features` (n, K) float32, and soft labels `soft` (n, N) float32 in [0, 1] whose rows sum to 1.

    `allowed` (n, N) bool marks the labels of the pixel's image; `soft` is 0 elsewhere.
    """

    features: np.ndarray
    soft: np.ndarray
    allowed: np.ndarray


def pixel_grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the feature grid of an image of `height` x `width` pixels: one position per 8 x 8 pixels."""
    return -(-height // 8), -(-width // 8)


def confident_pixels(
    marginals: np.ndarray, count: int, confidence: float, generator: np.random.Generator
) -> np.ndarray:
    """Draw training pixels balanced over labels: flat positions (m,) int64, up to `count` / L for each label.

    `marginals` (L, P) sum to 1 over labels. A pixel is confident if its largest marginal exceeds `confidence`. Without
    balancing, background pixels, the majority of most images, would dominate the fit.
    """
    winner, confident = marginals.argmax(axis=0), marginals.max(axis=0) > confidence
    chosen = []
    for label in range(len(marginals)):
        candidates = np.flatnonzero(confident & (winner == label))
        chosen.append(generator.choice(candidates, min(len(candidates), count // len(marginals)), replace=False))
    return np.concatenate(chosen)


def fit_pixels(samples: Samples, *, decay: float, iterations: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Softmax regression over each pixel's allowed labels: weight (N, K) float32, bias (N,) float32, final loss.

    Minimises mean cross entropy with the soft labels + decay/2 Σ w² on standardised features (see `fit_linear`), in
    float32. The standardisation is folded into weight and bias, which apply to raw features.
    """
    # imported here: takes two seconds, and only the fit needs it
    import torch
    import torch.nn.functional as F

    from tagseg.networks.linear import fit_linear

    mean, std = samples.features.mean(axis=0), samples.features.std(axis=0) + 1e-3
    scaled = samples.features - mean
    scaled /= std  # in place: the samples are most of the memory
    soft = torch.from_numpy(samples.soft)
    mask = torch.from_numpy(np.where(samples.allowed, 0, _FORBIDDEN).astype(np.float32))

    def cross_entropy(logits: "Tensor") -> "Tensor":
        return -(soft * F.log_softmax(logits + mask, dim=1)).sum(dim=1).mean()

    weight, bias, loss = fit_linear(
        torch.from_numpy(scaled), soft.shape[1], cross_entropy, weight_decay=decay, iterations=iterations
    )
    folded = weight.numpy() / std
    return folded, bias.numpy() - folded @ mean, loss


def pixel_features(scales: Scales, grid: tuple[int, int], positions: np.ndarray) -> np.ndarray:
    """Features (n, K) float32 of one image: all layers' maps, averaged over scales, at `positions` (n,) of the grid.

    `scales` are the maps (C, h, w) of each layer at each scale; K is the sum of the layers' C. `positions` are indices
    into the flattened `grid` = (H, W), to which maps are resized, bilinear.
    """
    values = [np.concatenate([bilinear_at(own, grid, positions) for own in layers], axis=1) for layers in scales]
    return np.stack(values).mean(axis=0, dtype=np.float32)


def pixel_maps(
    scales: Scales, grid: tuple[int, int], weight: np.ndarray, bias: np.ndarray, labels: Sequence[int]
) -> np.ndarray:
    """Apply the regression everywhere: probabilities (L, H, W) float32 of an image's L `labels`, which sum to 1.

    `scales` and `grid` = (H, W) as in `pixel_features`; `weight` (N, K) and `bias` (N,) are those of `fit_pixels`. The
    regression is linear, so it is applied to the maps before they are resized and averaged: L maps are, and not K.
    """
    rows = list(labels)
    scores = np.zeros((len(rows), *grid), dtype=np.float32)
    for layers in scales:
        start = 0
        for own in layers:
            part = weight[rows, start : start + len(own)]
            start += len(own)
            values = part @ own.reshape(len(own), -1).astype(np.float32)
            scores += bilinear(values.reshape(len(rows), *own.shape[1:]), grid)
    scores = scores / np.float32(len(scales)) + bias[rows, None, None]
    powers = np.exp(scores - scores.max(axis=0))
    return powers / powers.sum(axis=0)


def second_round(first: np.ndarray, regression: np.ndarray, weight: float) -> np.ndarray:
    """Weighted mean of the maps of the first round and of the regression, both (L, H, W) in [0, 1]; float32.

    `weight` in [0, 1] is the share of the regression.
    """
    return ((1 - weight) * first + weight * regression).astype(np.float32)
