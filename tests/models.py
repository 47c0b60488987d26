"""A small trained model, as people have one: the demo's backbone with a last layer that does not start at zero."""

from pathlib import Path

import torch
from nets import pictures

from tagseg.artifacts.bundle import save_bundle
from tagseg.images.palette import voc_palette
from tagseg.networks.backbones import load_backbone
from tagseg.networks.segmentation import ScoreNetwork

CLASSES = ["background", "cat", "dog", "sheep"]


def save_model(path: Path, size: int = 0, name: str = "shapes", stride: int = 16, fov: str = "small") -> Path:
    """A score network whose four classes each win somewhere."""
    torch.manual_seed(3)
    backbone = load_backbone(name, "default" if name == "shapes" else "random", stride=stride, pool5=True)
    network = ScoreNetwork(backbone, CLASSES, fov)
    torch.nn.init.normal_(network.classifier.weight, std=0.5)
    _balance(network.eval())
    save_bundle(
        path, "segmentation", network, classes=CLASSES, palette=voc_palette()[:4].tolist(), backbone=name,
        statistics=[list(values) for values in backbone.statistics], fov=fov, stride=stride, mask="none",
        settings={"size": size},
    )  # fmt: skip
    return path


@torch.no_grad()
def _balance(network: ScoreNetwork) -> None:
    """Scores of mean 0 and deviation 3 on patches of colour."""
    layer, patches = network.classifier, pictures(4, 12).repeat_interleave(10, dim=2).repeat_interleave(10, dim=3)
    assert layer.bias is not None
    scores = network(patches)
    scale = 3 / scores.std(dim=(0, 2, 3))
    layer.bias.copy_(-scale * scores.mean(dim=(0, 2, 3)))
    layer.weight.mul_(scale.view(-1, 1, 1, 1))
