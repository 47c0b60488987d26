"""Weight files, loaded without running code."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tagseg.errors import TagsegError

CONTAINERS = ("state_dict", "model_state_dict", "model")
"""Where a training checkpoint keeps its weights."""

PREFIXES = ("module.", "model.", "backbone.", "encoder.", "trunk.")
"""What wrappers (DataParallel, Lightning and the like) put before the name of every tensor."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """State dict of a PyTorch or safetensors file: float32, under the network's own names, no code run.

    A training checkpoint gives the weights that it holds (`CONTAINERS`), and prefixes that all names share
    (`PREFIXES`, also several) are dropped. Raises TagsegError naming the file.
    """
    if not path.is_file():
        raise TagsegError(f"{path}: no such weight file; put it there, or set network.weights to default or random")
    if path.suffix == ".safetensors":
        content: dict[str, Any] = dict(_load_safetensors(path))
    else:
        content = load_dict(path, "a PyTorch weight file", "give a state dict saved by torch.save, or a .safetensors")
    inner = next((content[key] for key in CONTAINERS if isinstance(content.get(key), dict)), content)
    state = {str(key): value.float() for key, value in inner.items() if isinstance(value, Tensor)}
    if not state:
        raise TagsegError(f"{path}: holds no weights, only {', '.join(map(str, content)) or 'nothing'}; give others")
    return without_prefixes(state)


def without_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without the `PREFIXES` that every name bears."""
    while prefix := next((p for p in PREFIXES if state and all(key.startswith(p) for key in state)), ""):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def load_dict(path: Path, what: str, remedy: str) -> dict[str, Any]:
    """A dictionary saved by torch.save. Raises TagsegError saying that any other file is not `what`, and the remedy."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a foreign file; each means the same to the user
        raise TagsegError(f"{path}: not {what} ({type(error).__name__}); {remedy}") from None
    if not isinstance(content, dict):
        raise TagsegError(f"{path}: holds {type(content).__name__}; {remedy}")
    return content


def load_state(module: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Fill a module; `source` names the weights in the TagsegError that another architecture raises."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise foreign(source, one_line(error)) from None


def foreign(source: str, reason: str) -> TagsegError:
    """The error of weights that are those of another network; `source` names them."""
    return TagsegError(f"{source}: weights of another architecture ({reason}); give the backbone's own")


def one_line(error: Exception) -> str:
    """What an error of a library says, in one line that is not too long."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise TagsegError(f"{path}: not a safetensors file ({one_line(error)}); give the whole file") from None


@cache
def imagenet_wordnet_ids() -> tuple[str, ...]:
    """WordNet ids of the thousand ILSVRC classes, in the order of a classifier's rows."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    return tuple(info.index_to_label_name(i) for i in range(1000))
