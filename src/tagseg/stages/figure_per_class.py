"""Draw the IoU of each class: this run's methods beside the published ones."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from tagseg.config.arguments import Classes, Outputs, Title
from tagseg.datasets.index import read_classes, read_table
from tagseg.errors import TagsegError
from tagseg.evaluation.tables import class_column
from tagseg.figures.bars import class_bars
from tagseg.runtime.pictures import check_suffixes, display_names, write_figure


def run(
    table: Annotated[Path, Field(description="miou.csv")],
    classes: Classes,
    outputs: Outputs,
    *,
    title: Title = "IoU",
) -> None:
    """Draw the IoU of each class in miou.csv: bars for measured methods, markers for the paper's own.

    A method is drawn with its CRF, or without if it was only measured so. Of the published rows only those of the
    paper's authors (`Ours`) are drawn. Raises TagsegError if a class has no column.
    """
    check_suffixes(outputs)
    names = read_classes(classes)
    columns = [class_column(name) for name in names]
    rows = [row for _, row in read_table(table, ["method", "crf", "source", *columns])]
    try:
        values = [np.array([float(row[column] or "nan") for column in columns]) for row in rows]
    except ValueError:
        raise TagsegError(f"{table}: IoU must be numbers; make it again (tagseg tabulate --table miou)") from None
    measured: dict[str, np.ndarray] = {}
    for row, iou in zip(rows, values, strict=True):
        if row["source"] == "measured" and (row["crf"] != "none" or row["method"] not in measured):
            measured[row["method"]] = iou
    published = {
        f"{row['method']} (published)": iou
        for row, iou in zip(rows, values, strict=True)
        if row["source"] == "published" and row["method"].startswith("Ours") and np.isfinite(iou).any()
    }
    write_figure(class_bars(list(display_names(names).values()), measured, published, title), *outputs)
