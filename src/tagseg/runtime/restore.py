"""Load trained networks from their bundles."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tagseg.artifacts.bundle import load_bundle
from tagseg.networks.backbones import load_backbone
from tagseg.networks.backbones.base import Backbone
from tagseg.networks.localization import LocalizationNetwork
from tagseg.networks.segmentation import ScoreNetwork


def load_localization(path: Path) -> tuple[LocalizationNetwork, list[str]]:
    """The localization network of a bundle, in evaluation mode, and its foreground classes.

    It runs at the stride of its training. Raises TagsegError if the file is no such bundle.
    """
    bundle = load_bundle(path, "localization")
    network = LocalizationNetwork(_empty_backbone(bundle), len(bundle["classes"]), hidden=bundle["hidden"])
    network.chosen = torch.empty_like(bundle["state_dict"]["chosen"])
    network.load_state_dict(bundle["state_dict"])
    return network.eval(), bundle["classes"]


def localization_rows(path: Path) -> tuple[Tensor, list[str], str]:
    """The weights (C, K) of Eq. 1 in the bundle of a localization network, its C classes, and the mode of its training.

    Raises TagsegError if the file is no such bundle.
    """
    bundle = load_bundle(path, "localization")
    chosen = bundle["state_dict"]["chosen"]
    rows = chosen if len(chosen) else bundle["state_dict"]["linear.weight"]
    return rows, bundle["classes"], bundle["settings"]["mode"]


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
