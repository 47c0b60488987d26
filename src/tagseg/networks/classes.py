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
    name of a row itself takes that row.
    """
    weight = torch.zeros(len(names), classifier.weight.shape[1])
    bias = torch.zeros(len(names))
    position = {name: i for i, name in enumerate(classifier.names)}
    found = []
    for i, name in enumerate(names):
        rows = [position[row] for row in (name, *synsets().get(name, ())) if row in position]
        found.append(bool(rows))
        if rows:
            weight[i] = classifier.weight[rows].mean(dim=0)
            bias[i] = classifier.bias[rows].mean()
    return weight, bias, found


@cache
def synsets() -> dict[str, tuple[str, ...]]:
    """WordNet ids of the ILSVRC classes that make up a class, by the class's name."""
    text = (resources.files("tagseg") / "resources" / "synsets.csv").read_text(encoding="utf-8")
    return {row["class"]: tuple(row["synsets"].split()) for row in csv.DictReader(text.splitlines())}
