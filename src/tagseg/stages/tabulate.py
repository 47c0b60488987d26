"""Gather evaluations into one table."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pandas import DataFrame
from pydantic import Field

from tagseg.artifacts.atomic import write_text
from tagseg.config.arguments import POSITIONAL, Output
from tagseg.evaluation.published import Published
from tagseg.evaluation.result import Result
from tagseg.evaluation.tables import ablation_table, masks_table, miou_table
from tagseg.runtime.evaluations import read_result

Table = Literal["miou", "ablation", "masks"]


def run(
    table: Annotated[Table, Field(description="Which table")],
    results: Annotated[list[Path], POSITIONAL, Field(description="Files that tagseg evaluate wrote")],
    output: Output,
    *,
    published: Annotated[Published, Field(description="Data set whose published rows are added")] = "none",
) -> None:
    """Gather evaluations into one table: `miou.csv`, `ablation.csv` or `masks.csv`.

    Rows stand in the order of `results`. Raises TagsegError naming a result that lacks what the table needs.
    """
    make, needed = _TABLES[table]
    frame = make([read_result(path, needed) for path in results], published)
    write_text(output, frame.to_csv(index=False, lineterminator="\n"))


# How each table is made, and the facts that it needs of each result.
_TABLES: dict[Table, tuple[Callable[[list[Result], Published], DataFrame], frozenset[str]]] = {
    "miou": (miou_table, frozenset({"experiment", "smoothing"})),
    "ablation": (ablation_table, frozenset({"experiment", "mask", "crf", "fov", "smoothing"})),
    "masks": (masks_table, frozenset({"prior", "crf", "split"})),
}
