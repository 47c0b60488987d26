"""Rows of a pre-trained classifier for the classes that a data set shares with it."""

import csv
from functools import cache
from importlib import resources

import torch
from torch import Tensor

from tagseg.networks.backbone import Classifier


def shared_rows(classifier: Classifier, names: list[str]) -> tuple[Tensor, Tensor, list[bool]]:
    """Weight (C, K), bias (C,) and whether each of `names` has a counterpart; rows of those without are zero.

    A class made up of several synsets (`resources/synsets.csv`) takes the mean of their rows; a class that bears the
    name of a row, or of an ILSVRC class, takes that one's. Case, `_` and `-` make no difference.
    """
    weight = torch.zeros(len(names), classifier.weight.shape[1])
    bias = torch.zeros(len(names))
    position = {name: i for i, name in enumerate(classifier.names)}
    found = []
    for i, name in enumerate(names):
        rows = [position[row] for row in (name, *synsets_of(name)) if row in position]
        found.append(bool(rows))
        if rows:
            weight[i] = classifier.weight[rows].mean(dim=0)
            bias[i] = classifier.bias[rows].mean()
    return weight, bias, found


def synsets_of(name: str) -> tuple[str, ...]:
    """WordNet ids of the ILSVRC classes that a class is made of; none if ILSVRC has nothing of that name."""
    plain = _plain(name)
    return synsets()[plain] if plain in synsets() else _ilsvrc_names().get(plain, ())


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


@cache
def _ilsvrc_names() -> dict[str, tuple[str, ...]]:
    """WordNet id of an ILSVRC class by each of its names; without those that two classes bear (crane, maillot)."""
    from timm.data import ImageNetInfo  # timm takes a second to import, and few come here

    info = ImageNetInfo("imagenet-1k")
    found: dict[str, list[str]] = {}
    for synset in info.label_names():
        for name in info.label_name_to_description(synset).split(","):
            found.setdefault(_plain(name), []).append(synset)
    return {name: tuple(ids) for name, ids in found.items() if len(ids) == 1}


@cache
def synsets() -> dict[str, tuple[str, ...]]:
    """WordNet ids of the ILSVRC classes that make up a class, by the class's name in plain letters.

    None for `kite`: COCO's is a toy, ILSVRC's a bird.
    """
    text = (resources.files("tagseg") / "resources" / "synsets.csv").read_text(encoding="utf-8")
    return {_plain(row["class"]): tuple(row["synsets"].split()) for row in csv.DictReader(text.splitlines())}
