"""Weight files, loaded without running code."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tagseg.errors import TagsegError


def read_weights(path: Path) -> dict[str, Tensor]:
    """State dict of a file, as float32, loaded without running code. Raises TagsegError naming the file."""
    if not path.is_file():
        raise TagsegError(f"{path}: no such weight file; put it there, or set network.weights to default or random")
    state = load_dict(path, "a PyTorch weight file", "give a state dict saved by torch.save")
    return {key: value.float() for key, value in state.items() if isinstance(value, Tensor)}


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
        reason = " ".join(str(error).split())[:200]
        raise TagsegError(f"{source}: weights of another architecture ({reason}); give the backbone's own") from None


@cache
def imagenet_wordnet_ids() -> tuple[str, ...]:
    """WordNet ids of the thousand ILSVRC classes, in the order of a classifier's rows."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    return tuple(info.index_to_label_name(i) for i in range(1000))
