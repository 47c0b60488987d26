"""Weight files of VGG-16: tensor names of torchvision, timm and Caffe, and the pre-processing each requires."""

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from tagseg.errors import TagsegError
from tagseg.networks.backbones.base import Classifier, FullyConnected
from tagseg.networks.backbones.vgg import Blocks
from tagseg.networks.backbones.weights import architecture_mismatch, imagenet_wordnet_ids

FILTERS = 4096
"""Units of fc6 and fc7."""

_CLASSIFIERS = {
    "classifier.0": "fc6", "classifier.3": "fc7", "classifier.6": "fc8",  # torchvision
    "pre_logits.fc1": "fc6", "pre_logits.fc2": "fc7", "head.fc": "fc8",  # timm
}  # fmt: skip


@dataclass(frozen=True)
class VggWeights:
    """The content of a VGG-16 weight file.

    `trunk` uses the names of `VggTrunk`; `preprocessing` is a key of `PREPROCESSING`, or None if it cannot be inferred.
    """

    trunk: dict[str, Tensor]
    fully_connected: FullyConnected | None
    classifier: Classifier | None
    preprocessing: str | None

    def summary(self) -> str:
        """What the file provides for a score network, and what starts from random weights."""
        if self.fully_connected is None:
            return "the trunk alone; fc6, fc7 and the last layer of a score network start random"
        rows = "with ILSVRC's rows" if self.classifier else "random, since there are no rows of ILSVRC's classes"
        return f"trunk and classifier; fc6 and fc7 of a score network start from it, the last layer {rows}"


def parse_vgg16(state: dict[str, Tensor], blocks: Blocks, source: str) -> VggWeights:
    """Split a state dict of VGG-16 into trunk and classifier; `source` names it in errors.

    Accepts the names of torchvision (`features.0.weight`, `classifier.0.weight`), timm (`pre_logits.fc1.weight`) and
    Caffe (`conv1_1.weight` or `conv1_1_weight`, `fc6.weight`). Caffe models expect BGR: the first convolution is
    flipped to RGB, so that only the pre-processing differs. `blocks` is the layout of the trunk.

    Raises TagsegError for a tensor that VGG-16 does not have, an incomplete classifier, or values that are not finite.
    """
    parts = {_split(key): value for key, value in state.items()}
    convolutions = caffe_convolutions(blocks)
    caffe = any(module in convolutions for module, _ in parts)
    known = {**convolutions, **{fc: fc for fc in ("fc6", "fc7", "fc8")}} if caffe else _CLASSIFIERS
    trunk: dict[str, Tensor] = {}
    layers: dict[str, Tensor] = {}
    for (module, part), value in parts.items():
        name = known.get(module, "" if caffe else module)
        if name.startswith("features.") and part:
            trunk[f"{name}.{part}"] = value
        elif name.startswith("fc") and part:
            layers[f"{name}.{part}"] = value
        else:
            raise architecture_mismatch(source, f"{module}{part and '.'}{part} is no layer of VGG-16")
    if caffe and "features.0.weight" in trunk:
        trunk["features.0.weight"] = trunk["features.0.weight"].flip(1)
    # torchvision's IMAGENET1K_FEATURES, converted from Caffe, has a classifier filled with NaN
    weights = [value for key, value in layers.items() if key.endswith("weight")]
    blank = bool(weights) and all(bool(torch.isnan(value).all()) for value in weights)
    if blank:
        layers = {}
    damaged = [key for key, value in (trunk | layers).items() if not bool(torch.isfinite(value).all())]
    if damaged:
        raise TagsegError(
            f"{source}: {damaged[0]} holds values that are not finite; the file is damaged, download it again"
        )
    preprocessing = "caffe" if caffe or blank else "imagenet" if layers else None
    return VggWeights(trunk, *_fully_connected(layers, blocks[-1][0], source), preprocessing)


def caffe_convolutions(blocks: Blocks) -> dict[str, str]:
    """Map the names of Caffe's convolutions to those of `VggTrunk`: conv1_1 is features.0, conv5_3 is features.28."""
    names, position = {}, 0
    for number, (_, convolutions) in enumerate(blocks, start=1):
        for i in range(1, convolutions + 1):
            names[f"conv{number}_{i}"] = f"features.{position}"
            position += 2  # convolution and ReLU
        position += 1  # the pool after the block
    return names


def _split(key: str) -> tuple[str, str]:
    """Split a key into layer and part: `conv1_1_weight` -> (conv1_1, weight). Drops the `module.` of DataParallel."""
    found = re.fullmatch(r"(.+)[._](weight|bias)", key.replace("features.module.", "features."))
    return (found[1], found[2]) if found else (key, "")


def _fully_connected(
    layers: dict[str, Tensor], channels: int, source: str
) -> tuple[FullyConnected | None, Classifier | None]:
    """fc6 and fc7 as matrices, and fc8 if it has the 1000 classes of ILSVRC."""
    if not layers:
        return None, None
    shapes = {"fc6": (FILTERS, channels * 49), "fc7": (FILTERS, FILTERS)}
    for layer, shape in shapes.items():
        weight, bias = layers.get(f"{layer}.weight"), layers.get(f"{layer}.bias")
        if weight is None or bias is None:
            raise architecture_mismatch(source, f"a classifier without {layer}; include all of it or none")
        if weight.flatten(1).shape != shape or bias.shape != shape[:1]:
            raise architecture_mismatch(source, f"{layer} has shape {tuple(weight.shape)}, not {shape}")
    # fc6 is laid out as (filter, channel, row, column), whether stored as a matrix or as a convolution
    matrices = {key: value.flatten(1) if key.endswith("weight") else value for key, value in layers.items()}
    fully_connected = FullyConnected(*(matrices[f"fc{i}.{part}"] for i in (6, 7) for part in ("weight", "bias")))
    rows, bias = matrices.get("fc8.weight"), matrices.get("fc8.bias")
    if rows is None or bias is None or rows.shape != (1000, FILTERS) or bias.shape != (1000,):
        return fully_connected, None
    return fully_connected, Classifier(rows, bias, imagenet_wordnet_ids())
