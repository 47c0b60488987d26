"""Model bundles: one file with all that prediction needs, which loads without running code from it."""

import io
import shlex
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tagseg import __version__
from tagseg.artifacts.atomic import atomic
from tagseg.errors import TagsegError
from tagseg.networks.backbones.weights import load_dict


def save_bundle(path: Path, kind: str, network: nn.Module, **facts: Any) -> None:
    """Write weights, versions and `facts` (plain values: classes, backbone, settings). Equal content gives equal bytes.

    Weights are written as contiguous CPU tensors, wherever and however the network was trained.
    """
    plain = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    versions = {"tagseg": __version__, "torch": torch.__version__.split("+")[0]}
    write_torch(path, {"kind": kind, "versions": versions, "state_dict": plain, **facts})


def write_torch(path: Path, content: dict[str, Any]) -> None:
    """Write with torch.save, atomically, such that equal content gives equal bytes; adds tagseg's version."""
    buffer = io.BytesIO()  # torch.save writes a file's own name into it
    torch.save(content if "versions" in content else {**content, "tagseg": __version__}, buffer)
    with atomic(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def load_bundle(path: Path, kind: str) -> dict[str, Any]:
    """The content of a bundle of the expected kind. Raises TagsegError if it is missing, broken, or of another kind."""
    if not path.is_file():
        raise TagsegError(f"{path}: no such model; train it first (snakemake {shlex.quote(str(path))})")
    content = load_dict(path, "a tagseg model", "give the right file, or train it again")
    if content.get("kind") != kind:
        found = content.get("kind")
        raise TagsegError(f"{path}: holds {found}, but a {kind} model is needed; give the right file")
    return content
