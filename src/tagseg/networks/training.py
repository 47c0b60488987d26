"""The training loop of the localization network and the score networks."""

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
    """SGD with momentum and a learning rate schedule.

    `step` divides the rate by 10 after two thirds of the iterations (the paper); `poly` is (1 - t)^0.9 (DeepLab).
    """

    iterations: int
    kind: Literal["step", "poly"]
    momentum: float
    weight_decay: float

    def factor(self, step: int) -> float:
        """Learning rate at `step` (from 0), as a fraction of the initial rate."""
        if self.kind == "step":
            return 1.0 if step < self.iterations * 2 / 3 else 0.1
        return float((1 - step / self.iterations) ** 0.9)


class Checkpointer(Protocol):
    """Stores the state of a training every `every` steps, to resume from it; 0 means never."""

    every: int

    def save(self, state: dict[str, Any]) -> None:
        """Store `state` (tensors and plain values), replacing the previous one."""

    def load(self) -> dict[str, Any] | None:
        """The stored state, or None."""


def train(
    network: nn.Module,
    groups: list[dict[str, Any]],
    batches: Callable[[int], Iterator[Batch]],
    loss_of: Callable[[Batch], Tensor],
    schedule: Schedule,
    name_of: Callable[[Batch], str],
    *,
    precision: Precision = "float32",
    keeper: Checkpointer | None = None,
) -> str:
    """Train `network` in place, with frozen batch norm statistics; return the log as CSV text.

    The log has one row per step: step, learning_rate (of the first group), loss.

    `batches(n)` yields batches without end, starting with that of step n. `loss_of` runs the network on a batch and
    returns a scalar, under autocast unless `precision` is float32. `name_of` describes a batch in error messages. With
    a `keeper`, an interrupted training resumes from its last checkpoint and ends with the same weights and log as an
    uninterrupted one. Raises TagsegError if the loss is not finite.
    """
    device = next(network.parameters()).device
    optimiser = torch.optim.SGD(groups, lr=0.0, momentum=schedule.momentum, weight_decay=schedule.weight_decay)
    rates = [group["lr"] for group in optimiser.param_groups]
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")
    parts = {"network": network, "optimiser": optimiser, "scaler": scaler}
    state = keeper.load() if keeper is not None else None
    first, rows = (0, ["step,learning_rate,loss"]) if state is None else _restore(state, parts)

    network.train()
    freeze_batch_norm(network)
    progress = _Progress(schedule.iterations, first)
    for step, batch in zip(range(first, schedule.iterations), batches(first), strict=False):
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * schedule.factor(step)
        with torch.autocast(
            device.type, torch.float16 if precision == "float16" else torch.bfloat16, enabled=precision != "float32"
        ):
            loss = loss_of(batch)
        # synchronises with the GPU before the step, so that a non-finite loss never reaches the weights
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TagsegError(
                f"loss is {value} at step {step} on {name_of(batch)}; lower the learning rate, or check "
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


def freeze_batch_norm(network: nn.Module) -> None:
    """Keep the pre-trained batch norm statistics: those of the paper's batches of one image would be too noisy."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def _state(step: int, rows: list[str], parts: dict[str, Any]) -> dict[str, Any]:
    """Everything the next step depends on, except the order of the images, which follows from the step."""
    random = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}
    return {"step": step, "rows": rows, "random": random} | {name: part.state_dict() for name, part in parts.items()}


def _restore(state: dict[str, Any], parts: dict[str, Any]) -> tuple[int, list[str]]:
    """Restore a checkpoint; return the step to continue with and the log rows so far."""
    for name, part in parts.items():
        part.load_state_dict(state[name])
    torch.set_rng_state(state["random"]["cpu"])
    if len(state["random"]["cuda"]) == torch.cuda.device_count():  # random numbers differ on another machine
        torch.cuda.set_rng_state_all(state["random"]["cuda"])
    log.info("resuming from the checkpoint at step %d", state["step"])
    return state["step"], list(state["rows"])


class _Progress:
    """Reports loss, speed and remaining time: a progress bar on a terminal, twenty lines in a log."""

    def __init__(self, steps: int, first: int):
        self._steps, self._first = steps, first
        self._every = max(1, steps // 20)
        self._losses: list[float] = []
        self._started = time.perf_counter()
        self._bar = tqdm(total=steps, initial=first, unit="step", disable=None)

    def update(self, step: int, loss: float) -> None:
        """Report that `step` is done."""
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
        """Report that all steps are done."""
        self._bar.close()
        seconds = time.perf_counter() - self._started
        done = self._steps - self._first
        log.info("%d steps in %s, %s", done, _time(seconds), _rate(done / max(seconds, 1e-9)))
        if torch.cuda.is_initialized():
            log.info("peak GPU memory: %.1f GiB", torch.cuda.max_memory_allocated() / 2**30)


def _rate(rate: float) -> str:
    return f"{rate:.2f} steps a second" if rate >= 1 else f"{1 / max(rate, 1e-9):.2f} s a step"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
