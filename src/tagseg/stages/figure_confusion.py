"""Fig. 11: which classes the pixels of each class were given."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from tagseg.config.arguments import Outputs, Title
from tagseg.figures.classes import confusion_figure
from tagseg.runtime.evaluations import read_result
from tagseg.runtime.pictures import checked_outputs, shown_as, write_figure


def run(
    result: Annotated[Path, Field(description="File that tagseg evaluate wrote")],
    outputs: Outputs,
    *,
    title: Title = "confusion in percent",
) -> None:
    """Fig. 11: confusion matrix, rows normalised.

    Draw Fig. 11: the row-normalised confusion matrix of a result of tagseg evaluate.
    """
    checked_outputs(outputs)
    evaluation = read_result(result)
    names = list(shown_as(evaluation.classes).values())
    write_figure(confusion_figure(names, evaluation.matrix.row_normalised(), title), *outputs)
