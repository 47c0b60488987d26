"""Reading weight files without executing code from them."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tagseg.errors import TagsegError, one_line, read_error
from tagseg.networks.sources import no_such_file

CONTAINERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training checkpoints keep their weights."""

PREFIXES = ("module.", "model.", "backbone.", "encoder.", "trunk.")
"""Prefixes that wrappers such as DataParallel or Lightning add to every tensor name."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the state dict of a PyTorch or safetensors file as float32, without executing code.

    Of a training checkpoint, the weights are returned (`CONTAINERS`). Prefixes that all names share (`PREFIXES`) are
    removed. Raises TagsegError naming the file if it is missing, unreadable, or without weights.
    """
    if not path.is_file():
        raise TagsegError(no_such_file(path))
    if path.suffix == ".safetensors":
        content: dict[str, Any] = dict(_load_safetensors(path))
    else:
        content = load_dict(path, "a PyTorch weight file", "give a state dict saved by torch.save, or a .safetensors")
    inner = next((content[key] for key in CONTAINERS if isinstance(content.get(key), dict)), content)
    state = {str(key): value.float() for key, value in inner.items() if isinstance(value, Tensor)}
    if not state:
        found = ", ".join(map(str, content)) or "nothing"
        raise TagsegError(f"{path}: holds no weights, only {found}; give another file")
    return without_prefixes(state)


def without_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without the `PREFIXES` that all names share; nested prefixes are removed, too."""
    while prefix := next((p for p in PREFIXES if state and all(key.startswith(p) for key in state)), ""):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def load_dict(path: Path, what: str, remedy: str) -> dict[str, Any]:
    """Load a dictionary saved by torch.save.

    Raises TagsegError: why the file cannot be read, or that it is not `what`, then `remedy`.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for other files; to the user they mean the same
        raise read_error(error, path) or TagsegError(f"{path}: not {what} ({type(error).__name__}); {remedy}") from None
    if not isinstance(content, dict):
        raise TagsegError(f"{path}: holds {type(content).__name__}; {remedy}")
    return content


def load_state(module: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load a state dict into a module. Raises TagsegError, naming the weights as `source`, if they do not fit."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise architecture_mismatch(source, one_line(error)) from None


def architecture_mismatch(source: str, reason: str) -> TagsegError:
    """The error for weights of another network; `source` names the weights."""
    return TagsegError(f"{source}: weights of another architecture ({reason}); give the backbone's own")


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, MemoryError) as error:
        raise read_error(error, path) or TagsegError(
            f"{path}: not a safetensors file ({one_line(error)}); give the whole file"
        ) from None


@cache
def imagenet_wordnet_ids() -> tuple[str, ...]:
    """WordNet ids of the 1000 ILSVRC classes, in the order of a classifier's rows."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    return tuple(info.index_to_label_name(i) for i in range(1000))
