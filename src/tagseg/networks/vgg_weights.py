"""VGG-16's weight files: torchvision's, timm's and Caffe's names, and the pre-processing that goes with each."""

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from tagseg.errors import TagsegError
from tagseg.networks.backbone import Classifier, FullyConnected
from tagseg.networks.vgg import Blocks
from tagseg.networks.weights import foreign, imagenet_wordnet_ids

FILTERS = 4096
"""Filters of fc6 and fc7."""

_CLASSIFIERS = {
    "classifier.0": "fc6", "classifier.3": "fc7", "classifier.6": "fc8",  # torchvision
    "pre_logits.fc1": "fc6", "pre_logits.fc2": "fc7", "head.fc": "fc8",  # timm
}  # fmt: skip


@dataclass(frozen=True)
class VggWeights:
    """What a weight file of VGG-16 holds.

    `trunk` bears the names of `VggTrunk`; `preprocessing` is a key of `PREPROCESSING`, or None if the file does not
    tell.
    """

    trunk: dict[str, Tensor]
    fully_connected: FullyConnected | None
    classifier: Classifier | None
    preprocessing: str | None

    def summary(self) -> str:
        """What there is, and what is missing of a score network."""
        if self.fully_connected is None:
            return "the trunk alone; fc6, fc7 and the last layer of a score network start random"
        rows = "with ILSVRC's rows" if self.classifier else "random, since there are no rows of ILSVRC's classes"
        return f"trunk and classifier; fc6 and fc7 of a score network start from it, the last layer {rows}"


def parse_vgg16(state: dict[str, Tensor], blocks: Blocks, source: str) -> VggWeights:
    """Sort a state dict of VGG-16 into its parts; `source` names it in errors.

    Names are torchvision's (`features.0.weight`, `classifier.0.weight`), timm's (`pre_logits.fc1.weight`), or those of
    Caffe's model (`conv1_1.weight` or `conv1_1_weight`, `fc6.weight`). Caffe's takes BGR: its first convolution is
    turned to RGB, so that all that differs is the pre-processing.

    Raises TagsegError for a tensor that is not VGG-16's, for a classifier in part, for values that are not finite.
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
            raise foreign(source, f"{module}{part and '.'}{part} is no layer of VGG-16")
    if caffe and "features.0.weight" in trunk:
        trunk["features.0.weight"] = trunk["features.0.weight"].flip(1)
    # torchvision's IMAGENET1K_FEATURES, converted from Caffe: its classifier is there and filled with NaN
    weights = [value for key, value in layers.items() if key.endswith("weight")]
    blank = bool(weights) and all(bool(torch.isnan(value).all()) for value in weights)
    if blank:
        layers = {}
    spoilt = [key for key, value in (trunk | layers).items() if not bool(torch.isfinite(value).all())]
    if spoilt:
        raise TagsegError(f"{source}: {spoilt[0]} holds values that are not finite; the file is damaged, fetch it anew")
    preprocessing = "caffe" if caffe or blank else "imagenet" if layers else None
    return VggWeights(trunk, *_fully_connected(layers, blocks[-1][0], source), preprocessing)


def caffe_convolutions(blocks: Blocks) -> dict[str, str]:
    """Name in `VggTrunk` of each of Caffe's convolutions: conv1_1 is features.0, conv5_3 is features.28."""
    names, position = {}, 0
    for number, (_, convolutions) in enumerate(blocks, start=1):
        for i in range(1, convolutions + 1):
            names[f"conv{number}_{i}"] = f"features.{position}"
            position += 2  # the ReLU after each
        position += 1  # the pool after each block
    return names


def _split(key: str) -> tuple[str, str]:
    """Layer and kind of tensor: `conv1_1_weight` -> (conv1_1, weight). A DataParallel trunk's `module.` is dropped."""
    found = re.fullmatch(r"(.+)[._](weight|bias)", key.replace("features.module.", "features."))
    return (found[1], found[2]) if found else (key, "")


def _fully_connected(
    layers: dict[str, Tensor], channels: int, source: str
) -> tuple[FullyConnected | None, Classifier | None]:
    """fc6 and fc7 as matrices, and fc8 if it tells ILSVRC's thousand classes apart."""
    if not layers:
        return None, None
    shapes = {"fc6": (FILTERS, channels * 49), "fc7": (FILTERS, FILTERS)}
    for layer, shape in shapes.items():
        weight, bias = layers.get(f"{layer}.weight"), layers.get(f"{layer}.bias")
        if weight is None or bias is None:
            raise foreign(source, f"a classifier without {layer}; keep it whole, or leave it out")
        if weight.flatten(1).shape != shape or bias.shape != shape[:1]:
            raise foreign(source, f"{layer} has shape {tuple(weight.shape)}, not {shape}")
    # the kernels of fc6 lie in memory as channel, row, column, whether they are stored as a matrix or as convolutions
    matrices = {key: value.flatten(1) if key.endswith("weight") else value for key, value in layers.items()}
    fully_connected = FullyConnected(*(matrices[f"fc{i}.{part}"] for i in (6, 7) for part in ("weight", "bias")))
    rows, bias = matrices.get("fc8.weight"), matrices.get("fc8.bias")
    if rows is None or bias is None or rows.shape != (1000, FILTERS) or bias.shape != (1000,):
        return fully_connected, None
    return fully_connected, Classifier(rows, bias, imagenet_wordnet_ids())
