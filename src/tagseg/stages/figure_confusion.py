"""Fig. 11: where the pixels of each class went."""

from pathlib import Path

from tagseg.figures.classes import confusion_figure
from tagseg.pictures import checked_outputs, write_figure
from tagseg.results import read_result


def run(result: Path, outputs: list[Path], *, title: str) -> None:
    """Draw the row-normalised confusion matrix of a file that tagseg evaluate wrote."""
    checked_outputs(outputs)
    found = read_result(result)
    write_figure(confusion_figure(found.classes, found.matrix.row_normalised(), title), *outputs)
