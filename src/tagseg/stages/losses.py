"""The picture of the losses."""

from pathlib import Path

import numpy as np

from tagseg.datasets.index import read_table
from tagseg.errors import TagsegError
from tagseg.figures.curves import loss_figure
from tagseg.pictures import write_figure


def run(trainings: dict[str, Path], output: Path, *, title: str) -> None:
    """Draw the CSV logs that tagseg train and tagseg localization wrote, by the name of their training."""
    if not trainings:
        raise TagsegError("no training to draw: give --training NAME=FILE for each")
    curves = {name: _curve(path) for name, path in trainings.items()}
    write_figure(loss_figure(curves, title), output)


def _curve(path: Path) -> tuple[np.ndarray, np.ndarray]:
    rows = read_table(path, ["step", "loss"])
    if not rows:
        raise TagsegError(f"{path}: no step in it; train again")
    try:
        values = np.array([[float(row["step"]), float(row["loss"])] for _, row in rows])
    except ValueError:
        raise TagsegError(f"{path}: steps and losses must be numbers; train again") from None
    return values[:, 0], values[:, 1]
