"""Device, threads and determinism: set once at the start of every stage that runs a network."""

import os
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from tagseg.config.networks import MachineSettings
from tagseg.errors import TagsegError

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Device:
    """Where a network runs, and how many threads decode photographs ahead of it."""

    torch_device: torch.device
    loaders: int

    def put(self, network: Module) -> Module:
        """Move a network there, its tensors channels last: a quarter faster on a CPU, and no slower elsewhere."""
        return network.to(self.torch_device).to(memory_format=torch.channels_last)


def prepare(settings: MachineSettings, threads: int, seed: int = 0) -> Device:
    """Set threads, seed and deterministic algorithms.

    `threads` are the job's; `loaders` of them decode, the rest compute, and at least one does. Bytes of a result on a
    CPU depend on how many compute. Raises TagsegError if CUDA is asked for and absent: a run must not fall back to a
    machine a hundred times slower without a word.
    """
    if settings.device == "cuda":
        _prepare_gpu(settings.deterministic)
    torch.set_num_threads(max(1, threads - settings.loaders))
    torch.manual_seed(seed)
    return Device(torch.device(settings.device), settings.loaders)


def has_gpu() -> bool:
    """Whether networks could run on a GPU here."""
    return torch.cuda.is_available()


def _prepare_gpu(deterministic: bool) -> None:
    # cuBLAS reads it when it is first used, and sums in a fixed order only with a workspace of its own
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if not has_gpu():
        raise TagsegError("device cuda: no usable GPU on this machine; set device: cpu, or run where nvidia-smi works")
    # an operation that has no deterministic form is named in the log and runs all the same
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = not deterministic
