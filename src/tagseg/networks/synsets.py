"""Which rows of a pre-trained classifier belong to the classes of a data set."""

import csv
from functools import cache
from importlib import resources

import torch
from torch import Tensor

from tagseg.networks.backbones.base import Classifier


def shared_rows(classifier: Classifier, names: list[str]) -> tuple[Tensor, Tensor, list[bool]]:
    """The classifier's weight (C, K) and bias (C,) for the classes `names`, and for each whether it has a counterpart.

    A class that comprises several synsets (`resources/synsets.csv`) gets the mean of their rows; a class named like a
    row, or like an ILSVRC class, gets that row. Case, `_` and `-` are ignored. Rows without a counterpart are zero.
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
    """WordNet ids of the ILSVRC classes that a class comprises; empty if ILSVRC has no class of that name."""
    plain = _plain(name)
    return synsets()[plain] if plain in synsets() else _ilsvrc_names().get(plain, ())


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


@cache
def _ilsvrc_names() -> dict[str, tuple[str, ...]]:
    """WordNet id of each ILSVRC class by its names, except names shared by two classes (crane, maillot)."""
    from timm.data import ImageNetInfo  # imported here: timm takes a second, and few callers get this far

    info = ImageNetInfo("imagenet-1k")
    found: dict[str, list[str]] = {}
    for synset in info.label_names():
        for name in info.label_name_to_description(synset).split(","):
            found.setdefault(_plain(name), []).append(synset)
    return {name: tuple(ids) for name, ids in found.items() if len(ids) == 1}


@cache
def synsets() -> dict[str, tuple[str, ...]]:
    """WordNet ids of the ILSVRC classes that make up a class, by normalised class name (see `_plain`).

    `kite` has none: in COCO it is a toy, in ILSVRC a bird.
    """
    text = (resources.files("tagseg") / "resources" / "synsets.csv").read_text(encoding="utf-8")
    return {_plain(row["class"]): tuple(row["synsets"].split()) for row in csv.DictReader(text.splitlines())}
