"""Draw losses.png: the loss of each training, step by step."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from tagseg.config.arguments import Named, Output
from tagseg.datasets.index import read_table
from tagseg.errors import TagsegError
from tagseg.figures.curves import loss_figure
from tagseg.runtime.pictures import write_figure


def run(
    trainings: Annotated[dict[str, Path], Named("training"), Field(description="NAME=LOG of a training; repeatable")],
    output: Output,
    *,
    title: Annotated[str, Field(description="Over the picture")] = "loss",
) -> None:
    """Draw the losses of trainings, from the logs of tagseg train-segmentation and tagseg train-localization.

    `trainings` are the CSV logs by the name of their training. Raises TagsegError if there is none, or if a log is
    empty.
    """
    if not trainings:
        raise TagsegError("no training to draw: give --training NAME=FILE for each")
    curves = {name: _curve(path) for name, path in trainings.items()}
    write_figure(loss_figure(curves, title), output)


def _curve(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Steps (n,) and losses (n,) of a log. Raises TagsegError if it is empty or is no log."""
    rows = read_table(path, ["step", "loss"])
    if not rows:
        raise TagsegError(f"{path}: no step in it; train again")
    try:
        values = np.array([[float(row["step"]), float(row["loss"])] for _, row in rows])
    except ValueError:
        raise TagsegError(f"{path}: steps and losses must be numbers; train again") from None
    return values[:, 0], values[:, 1]
