"""Draw Fig. 11: the classes that the pixels of each class were given."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from tagseg.config.arguments import Outputs, Title
from tagseg.figures.classes import confusion_figure
from tagseg.runtime.evaluations import read_result
from tagseg.runtime.pictures import check_suffixes, display_names, write_figure


def run(
    result: Annotated[Path, Field(description="File that tagseg evaluate wrote")],
    outputs: Outputs,
    *,
    title: Title = "confusion in percent",
) -> None:
    """Draw Fig. 11: the confusion matrix of a result of tagseg evaluate, each row normalised to sum to 1."""
    check_suffixes(outputs)
    evaluation = read_result(result)
    names = list(display_names(evaluation.classes).values())
    write_figure(confusion_figure(names, evaluation.matrix.row_normalised(), title), *outputs)
