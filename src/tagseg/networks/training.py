"""The one training loop, for the localization network and the score networks."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from tagseg.errors import TagsegError

log = logging.getLogger(__name__)
Batch = TypeVar("Batch")
Precision = Literal["float32", "bfloat16", "float16"]


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


class Keeper(Protocol):
    """Keeps, every so many steps, all that a training needs to go on from there after it was killed."""

    every: int

    def save(self, state: dict[str, Any]) -> None:
        """Keep `state` (tensors and plain values) in place of the one before."""

    def load(self) -> dict[str, Any] | None:
        """The state that was kept, or None."""


def train(
    network: nn.Module,
    groups: list[dict[str, Any]],
    batches: Callable[[int], Iterator[Batch]],
    loss_of: Callable[[Batch], Tensor],
    schedule: Schedule,
    name_of: Callable[[Batch], str],
    *,
    precision: Precision = "float32",
    keeper: Keeper | None = None,
) -> str:
    """Train `network` in place, batch statistics frozen; returns the log as CSV text.

    The log has a row a step: step, learning_rate (of the first group), loss.

    `batches(n)` yields the batches from step n on, without end; `loss_of` runs the network on a batch, under autocast
    unless `precision` is float32; `name_of` names it, for the error that a non-finite loss raises (TagsegError). With
    a `keeper`, a training that was killed goes on where it last kept its state, to the very weights and log that it
    would have had.
    """
    device = next(network.parameters()).device
    optimiser = torch.optim.SGD(groups, lr=0.0, momentum=schedule.momentum, weight_decay=schedule.weight_decay)
    rates = [group["lr"] for group in optimiser.param_groups]
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")
    parts = {"network": network, "optimiser": optimiser, "scaler": scaler}
    state = keeper.load() if keeper is not None else None
    first, rows = (0, ["step,learning_rate,loss"]) if state is None else _restore(state, parts)

    network.train()
    _freeze_batch_norm(network)
    progress = _Progress(schedule.iterations, first)
    for step, batch in zip(range(first, schedule.iterations), batches(first), strict=False):
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * schedule.factor(step)
        with torch.autocast(
            device.type, torch.float16 if precision == "float16" else torch.bfloat16, enabled=precision != "float32"
        ):
            loss = loss_of(batch)
        # a GPU is asked here, when its forward pass ends, so that no weight is spoiled by a loss that is not finite
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TagsegError(
                f"loss is {value} at step {step} on {name_of(batch)}; lower the learning rate, or look at "
                "that image and its mask"
            )
        optimiser.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        rows.append(f"{step},{rates[0] * schedule.factor(step):.3g},{value:.5f}")
        progress.update(step, value)
        if keeper is not None and keeper.every and (step + 1) % keeper.every == 0:
            keeper.save(_state(step + 1, rows, parts))
    progress.close()
    network.eval()
    return "\n".join(rows) + "\n"


def _freeze_batch_norm(network: nn.Module) -> None:
    """Statistics stay those of pre-training: the paper's batches of one image have none worth the name."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def _state(step: int, rows: list[str], parts: dict[str, Any]) -> dict[str, Any]:
    """All that the next step depends on; the order of the images follows from the step alone."""
    random = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}
    return {"step": step, "rows": rows, "random": random} | {name: part.state_dict() for name, part in parts.items()}


def _restore(state: dict[str, Any], parts: dict[str, Any]) -> tuple[int, list[str]]:
    """Put everything back; returns the step to go on with and the rows of the log so far."""
    for name, part in parts.items():
        part.load_state_dict(state[name])
    torch.set_rng_state(state["random"]["cpu"])
    if len(state["random"]["cuda"]) == torch.cuda.device_count():  # on another machine the draws differ
        torch.cuda.set_rng_state_all(state["random"]["cuda"])
    log.info("going on from the checkpoint at step %d", state["step"])
    return state["step"], list(state["rows"])


class _Progress:
    """Loss, rate and time left: a bar on a terminal, twenty lines in a log."""

    def __init__(self, steps: int, first: int):
        self._steps, self._first = steps, first
        self._every = max(1, steps // 20)
        self._losses: list[float] = []
        self._started = time.perf_counter()
        self._bar = tqdm(total=steps, initial=first, unit="step", disable=None)

    def update(self, step: int, loss: float) -> None:
        """One step is done."""
        self._losses.append(loss)
        self._bar.update()
        self._bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        if self._bar.disable and (step + 1) % self._every == 0:
            rate = (step + 1 - self._first) / (time.perf_counter() - self._started)
            left = (self._steps - step - 1) / rate
            mean = sum(self._losses) / len(self._losses)
            log.info(
                "step %d of %d: mean loss %.4f, %s, %s left", step + 1, self._steps, mean, _rate(rate), _time(left)
            )
            self._losses.clear()

    def close(self) -> None:
        """All steps are done."""
        self._bar.close()
        seconds = time.perf_counter() - self._started
        done = self._steps - self._first
        log.info("%d steps in %s, %s", done, _time(seconds), _rate(done / max(seconds, 1e-9)))
        if torch.cuda.is_initialized():
            log.info("peak memory of the GPU: %.1f GiB", torch.cuda.max_memory_allocated() / 2**30)


def _rate(rate: float) -> str:
    return f"{rate:.2f} steps a second" if rate >= 1 else f"{1 / max(rate, 1e-9):.2f} s a step"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
