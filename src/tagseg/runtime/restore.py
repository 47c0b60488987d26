"""Load trained networks from their bundles."""

from pathlib import Path
from typing import Any

import torch

from tagseg.artifacts.bundle import load_bundle
from tagseg.networks.backbones import load_backbone
from tagseg.networks.backbones.base import Backbone
from tagseg.networks.localization import LocalizationNetwork
from tagseg.networks.segmentation import ScoreNetwork


def load_localization(path: Path, stride: int = 0) -> tuple[LocalizationNetwork, list[str]]:
    """The localization network of a bundle, in evaluation mode, and its foreground classes.

    A head on a frozen trunk runs at `stride` (0: that of its training), as dilation keeps the meaning of the trunk's
    weights. A fine-tuned network always runs at its own. Raises TagsegError if the file is no such bundle.
    """
    bundle = load_bundle(path, "localization")
    if stride and bundle["settings"]["mode"] == "head":
        bundle["stride"] = stride
    network = LocalizationNetwork(_empty_backbone(bundle), len(bundle["classes"]), hidden=bundle["hidden"])
    network.chosen = torch.empty_like(bundle["state_dict"]["chosen"])
    network.load_state_dict(bundle["state_dict"])
    return network.eval(), bundle["classes"]


def load_segmentation(path: Path) -> tuple[ScoreNetwork, list[str], int]:
    """The score network of a bundle, in evaluation mode, its classes (background first), and its images' longer side.

    The side is in pixels, 0 for images at their own size. Raises TagsegError if the file is no such bundle.
    """
    bundle = load_bundle(path, "segmentation")
    network = ScoreNetwork(_empty_backbone(bundle, pool5=True), bundle["classes"], bundle["fov"])
    network.load_state_dict(bundle["state_dict"])
    return network.eval(), bundle["classes"], bundle["settings"]["size"]


def _empty_backbone(bundle: dict[str, Any], *, pool5: bool = False) -> Backbone:
    """The architecture with random weights: the bundle has the trained ones, so nothing need be downloaded."""
    name, stride = bundle["backbone"], bundle["stride"]
    backbone = load_backbone(name, "random", stride=stride, pool5=pool5)
    mean, std = (tuple(values) for values in bundle["statistics"])
    return Backbone(name, backbone.trunk, backbone.channels, (mean, std))
