"""Whether `weights` names a library's weights or a user's file. Does not import torch: planning a run needs it, too."""

from pathlib import Path

NO_FILE = frozenset({"default", "random"})
VGG16_NAMES = ("IMAGENET1K_V1", "IMAGENET1K_FEATURES")
"""torchvision's own, which `weights` may name for the backbone vgg16."""


def weight_file(backbone: str, weights: str) -> Path | None:
    """The file that the weights of a backbone are read from, or None where `weights` names none of the user's."""
    named = weights in NO_FILE or (backbone == "vgg16" and weights in VGG16_NAMES)
    return None if named else Path(weights)


def no_such_file(path: Path) -> str:
    """What to say, and to do, where a weight file is not there."""
    return f"{path}: no such weight file; put it there, or set network.weights to default or random"
