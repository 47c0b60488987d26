"""Draw Fig. 10: accuracy against the width of a band around object boundaries."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from tagseg.config.arguments import Outputs, Title
from tagseg.datasets.index import read_table
from tagseg.errors import TagsegError
from tagseg.figures.curves import trimap_figure
from tagseg.runtime.pictures import check_suffixes, write_figure


def run(
    table: Annotated[Path, Field(description="trimap.csv")],
    outputs: Outputs,
    *,
    title: Title = "accuracy beside boundaries",
) -> None:
    """Draw Fig. 10 from trimap.csv: accuracy against the width of a band around object boundaries.

    Raises TagsegError if the table is empty or is another one.
    """
    check_suffixes(outputs)
    columns = ["width", "pixel_accuracy", "miou"]
    curves: dict[tuple[str, str], list[list[float]]] = {}
    try:
        for _, row in read_table(table, ["method", "crf", *columns]):
            curves.setdefault((row["method"], row["crf"]), []).append([float(row[name] or "nan") for name in columns])
    except ValueError:
        raise TagsegError(f"{table}: {', '.join(columns)} must be numbers; make it again (tagseg trimap)") from None
    if not curves:
        raise TagsegError(f"{table}: no row in it; make it again (tagseg trimap)")
    arrays = {key: np.array(rows).T for key, rows in curves.items()}
    write_figure(trimap_figure({key: (a[0], a[1], a[2]) for key, a in arrays.items()}, title), *outputs)
