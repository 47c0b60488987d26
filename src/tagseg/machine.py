"""Device, threads and determinism: set once at the start of every stage that runs a network."""

import torch

from tagseg.errors import TagsegError


def prepare(device: str, threads: int, seed: int = 0) -> torch.device:
    """Set threads, seed and deterministic algorithms; returns the device.

    Bytes of a result depend on the number of threads, so a rule states it. Raises TagsegError if CUDA is asked for and
    absent: a run must not fall back to a machine a hundred times slower without a word.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise TagsegError("device cuda: no usable GPU on this machine; set device: cpu, or run where nvidia-smi works")
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return torch.device(device)
