"""The bar chart of the experiments."""

from pathlib import Path

import pandas as pd

from tagseg.figures.panels import experiment_chart, save_figure
from tagseg.store import atomic


def run(ablation: Path, output: Path, *, title: str) -> None:
    """Draw `ablation.csv` or the experiments of `miou.csv`: mIoU without and with the CRF."""
    table = pd.read_csv(ablation)
    if "miou_no_crf" not in table:
        own = table[table["source"] == "measured"]
        bare = own[own["crf"] == "none"].set_index("method")["miou"]
        smoothed = own[own["crf"] != "none"].set_index("method")["miou"]
        table = pd.DataFrame({"experiment": bare.index, "miou_no_crf": bare, "miou": smoothed.reindex(bare.index)})
    figure = experiment_chart(
        table["experiment"].tolist(), table["miou_no_crf"].tolist(), table["miou"].tolist(), title
    )
    with atomic(output) as temporary:
        save_figure(figure, temporary)
