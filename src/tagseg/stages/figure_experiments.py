"""Draw miou.png and ablation.png: the experiments as a bar chart."""

import shlex
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field

from tagseg.config.arguments import Named, Output
from tagseg.errors import TagsegError
from tagseg.figures.bars import experiment_chart
from tagseg.runtime.pictures import write_figure


def run(
    ablation: Annotated[Path, Named("table"), Field(description="miou.csv or ablation.csv")],
    output: Output,
    *,
    title: Annotated[str, Field(description="Title of the chart")] = "",
) -> None:
    """Draw a bar chart of the experiments: their mIoU without and with the CRF.

    The table is ablation.csv or miou.csv; rows of published methods are left out. Raises TagsegError if the file is
    missing or is another table.
    """
    table = _measured(ablation)
    figure = experiment_chart(
        table["experiment"].tolist(), table["miou_no_crf"].tolist(), table["miou"].tolist(), title
    )
    write_figure(figure, output)


def _measured(path: Path) -> pd.DataFrame:
    """A row for each measured experiment: its name, and mIoU without and with the CRF."""
    if not path.is_file():
        raise TagsegError(f"{path}: no such file; make it first (snakemake {shlex.quote(str(path))})")
    table = pd.read_csv(path)
    if "source" in table:
        table = table[table["source"] == "measured"]
    if {"experiment", "miou_no_crf", "miou"} <= set(table):
        return table
    if not {"method", "crf", "source", "miou"} <= set(table):
        raise TagsegError(f"{path}: neither a miou.csv nor an ablation.csv; give one of them")
    without_crf = table[table["crf"] == "none"].set_index("method")["miou"]
    with_crf = table[table["crf"] != "none"].set_index("method")["miou"].reindex(without_crf.index)
    return pd.DataFrame({"experiment": without_crf.index, "miou_no_crf": without_crf, "miou": with_crf})
