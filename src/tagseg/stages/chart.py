"""The bar chart of the experiments."""

from pathlib import Path

import pandas as pd

from tagseg.errors import TagsegError
from tagseg.figures.panels import experiment_chart
from tagseg.pictures import write_figure


def run(ablation: Path, output: Path, *, title: str) -> None:
    """Draw `ablation.csv` or the experiments of `miou.csv`: mIoU without and with the CRF."""
    if not ablation.is_file():
        raise TagsegError(f"{ablation}: no such file; make it first (snakemake {ablation})")
    table = pd.read_csv(ablation)
    if not {"experiment", "miou_no_crf", "miou"} <= set(table):
        if not {"method", "crf", "source", "miou"} <= set(table):
            raise TagsegError(f"{ablation}: neither a miou.csv nor an ablation.csv; give one of them")
        own = table[table["source"] == "measured"]
        bare = own[own["crf"] == "none"].set_index("method")["miou"]
        smoothed = own[own["crf"] != "none"].set_index("method")["miou"]
        table = pd.DataFrame({"experiment": bare.index, "miou_no_crf": bare, "miou": smoothed.reindex(bare.index)})
    elif "source" in table:
        table = table[table["source"] == "measured"]
    figure = experiment_chart(
        table["experiment"].tolist(), table["miou_no_crf"].tolist(), table["miou"].tolist(), title
    )
    write_figure(figure, output)
