"""Fig. 11: which classes the pixels of each class were given."""

from pathlib import Path

from tagseg.figures.classes import confusion_figure
from tagseg.runtime.evaluations import read_result
from tagseg.runtime.pictures import checked_outputs, shown_as, write_figure


def run(result: Path, outputs: list[Path], *, title: str) -> None:
    """Draw Fig. 11: the row-normalised confusion matrix of a result of tagseg evaluate."""
    checked_outputs(outputs)
    evaluation = read_result(result)
    names = list(shown_as(evaluation.classes).values())
    write_figure(confusion_figure(names, evaluation.matrix.row_normalised(), title), *outputs)
