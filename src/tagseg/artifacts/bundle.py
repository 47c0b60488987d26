"""A model bundle: one file with all that prediction needs, loadable without running code."""

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
    """Write weights, versions and `facts` (plain values: classes, backbone, settings). Equal content, equal bytes.

    Weights are written as a CPU without options keeps them, wherever and however the network was trained.
    """
    plain = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    versions = {"tagseg": __version__, "torch": torch.__version__.split("+")[0]}
    write_torch(path, {"kind": kind, "versions": versions, "state_dict": plain, **facts})


def write_torch(path: Path, content: dict[str, Any]) -> None:
    """torch.save, atomically, and so that equal content gives equal bytes. What wrote it is in it, too."""
    buffer = io.BytesIO()  # torch.save writes a file's own name into it
    torch.save(content if "versions" in content else {**content, "tagseg": __version__}, buffer)
    with atomic(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def load_bundle(path: Path, kind: str) -> dict[str, Any]:
    """Content of a bundle of the expected kind. Raises TagsegError naming the file and what it is."""
    if not path.is_file():
        raise TagsegError(f"{path}: no such model; train it first (snakemake {shlex.quote(str(path))})")
    content = load_dict(path, "a tagseg model", "give the right file, or train it again")
    if content.get("kind") != kind:
        found = content.get("kind")
        raise TagsegError(f"{path}: holds {found}, but a {kind} model is needed; give the right file")
    return content
