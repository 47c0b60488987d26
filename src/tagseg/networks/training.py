"""The one training loop, for the localization network and the score networks."""

import csv
import io
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from tagseg.errors import TagsegError

log = logging.getLogger(__name__)
Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Schedule:
    """SGD with momentum. `step`: the rate falls to a tenth after two thirds (the paper); `poly`: (1 - t)^.9."""

    iterations: int
    kind: Literal["step", "poly"]
    momentum: float
    weight_decay: float

    def factor(self, step: int) -> float:
        """Learning rate at `step` (from 0) over the rate at the start."""
        if self.kind == "step":
            return 1.0 if step < self.iterations * 2 / 3 else 0.1
        return float((1 - step / self.iterations) ** 0.9)


def train(
    network: nn.Module,
    groups: list[dict[str, Any]],
    batches: Iterator[Batch],
    loss_of: Callable[[Batch], Tensor],
    schedule: Schedule,
    name_of: Callable[[Batch], str],
) -> str:
    """Train `network` in place, batch statistics frozen; returns the log as CSV text.

    The log has a row a step: step, learning_rate (of the first group), loss.

    `batches` never ends; `loss_of` runs the network on a batch; `name_of` names it, for the error that a non-finite
    loss raises (TagsegError).
    """
    optimiser = torch.optim.SGD(groups, lr=0.0, momentum=schedule.momentum, weight_decay=schedule.weight_decay)
    rates = [group["lr"] for group in optimiser.param_groups]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["step", "learning_rate", "loss"])
    network.train()
    _freeze_batch_norm(network)
    started = time.perf_counter()
    with tqdm(total=schedule.iterations, unit="step", disable=None) as bar:
        for step, batch in zip(range(schedule.iterations), batches, strict=False):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * schedule.factor(step)
            loss = loss_of(batch)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise TagsegError(
                    f"loss is {value} at step {step} on {name_of(batch)}; lower the learning rate, or look at "
                    "that image and its mask"
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            table.writerow([step, f"{rates[0] * schedule.factor(step):.3g}", f"{value:.5f}"])
            bar.update()
            bar.set_postfix(loss=f"{value:.3f}", refresh=False)
    seconds = time.perf_counter() - started
    network.eval()
    log.info("%d steps in %.0f s, %.2f steps a second", schedule.iterations, seconds, schedule.iterations / seconds)
    return text.getvalue()


def _freeze_batch_norm(network: nn.Module) -> None:
    """Statistics stay those of pre-training: the paper's batches of one image have none worth the name."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
