"""Linear classifiers fitted to fixed features with L-BFGS."""

from collections.abc import Callable

import torch
from torch import Tensor


def fit_linear(
    features: Tensor, outputs: int, loss_of: Callable[[Tensor], Tensor], *, weight_decay: float, iterations: int
) -> tuple[Tensor, Tensor, float]:
    """Minimise loss_of(X wᵀ + b) + weight_decay/2 Σ w² by L-BFGS, starting from zero.

    `features` X (n, K) should be standardised; computation is in their dtype. `loss_of` maps logits (n, `outputs`) to a
    scalar and should be convex, so that the result depends on neither seed nor learning rate. Returns weight w
    (`outputs`, K), bias b (`outputs`,), and the final value of the objective.
    """
    weight = torch.zeros(outputs, features.shape[1], dtype=features.dtype, requires_grad=True)
    bias = torch.zeros(outputs, dtype=features.dtype, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=iterations, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = loss_of(features @ weight.T + bias) + weight_decay / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return weight.detach(), bias.detach(), float(closure().detach())
