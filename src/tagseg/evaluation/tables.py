"""Tables that people read: this run's figures, and the published ones beside them where the data set is the paper's.

All IoU figures are in percent. `source` is `measured` or `published`.
"""

import csv
from importlib import resources
from typing import Literal

import numpy as np
import pandas as pd

from tagseg.evaluation.result import Result

Published = Literal["none", "voc"]
# Rows of the published Table 6 by the three choices that make an experiment.
_TABLE6 = {
    ("none", "pairwise", "small"): "Tag-only baseline (no mask)",
    ("fgbg", "pairwise", "small"): "Foreground/background priors",
    ("localization", "pairwise", "small"): "Localization priors",
    ("multiclass", "pairwise", "small"): "Localization+fusion priors",
}
_TABLE5 = {"localization": "localization", "multiclass": "localization+fusion"}


def miou_table(results: list[Result], published: Published) -> pd.DataFrame:
    """Method rows, class columns, mIoU: the run's own, then the published rows of Table 1.

    `classes` is how many classes the mean is over: those that truth or prediction has. On a small split that number
    differs from row to row, and a network that stops naming a class wrongly loses a zero from its mean.
    """
    rows = [
        {
            "method": result.facts["experiment"],
            "crf": result.facts["smoothing"],
            "source": "measured",
            "miou": _percent(result.matrix.mean_iou()),
            "classes": int(np.isfinite(result.matrix.iou()).sum()),
            "pixel_accuracy": _percent(result.matrix.pixel_accuracy()),
            **{name: _percent(value) for name, value in zip(result.classes, result.matrix.iou().tolist(), strict=True)},
        }
        for result in results
    ]
    if published == "voc":
        for row in published_rows("table1_voc_val"):
            values = {key: float(value) if value else np.nan for key, value in row.items() if key != "method"}
            rows.append({"method": row["method"], "crf": "", "source": "published", **values})
    return pd.DataFrame(rows).astype({"classes": "Int64"})  # whole numbers beside the published rows' blanks


def ablation_table(results: list[Result], published: Published) -> pd.DataFrame:
    """One row an experiment: its three choices, mIoU without and with its CRF, and Table 6's figure and difference."""
    figures = {row["setup"]: float(row["miou_val"]) for row in published_rows("table6_ablation")}
    rows: dict[str, dict[str, object]] = {}
    for result in results:
        facts = result.facts
        row = rows.setdefault(facts["experiment"], {key: facts[key] for key in ("experiment", "mask", "crf", "fov")})
        row["miou_no_crf" if facts["smoothing"] == "none" else "miou"] = _percent(result.matrix.mean_iou())
        if facts["crf"] == "none":
            row["miou"] = row["miou_no_crf"]
        setup = _TABLE6.get((facts["mask"], facts["crf"], facts["fov"]))
        if published == "voc" and setup:
            row["published_setup"], row["published_miou"] = setup, figures[setup]
            if "miou" in row:
                row["difference"] = round(float(str(row["miou"])) - figures[setup], 2)
    return pd.DataFrame(list(rows.values()))


def masks_table(results: list[Result], published: Published) -> pd.DataFrame:
    """One row a prior, CRF and split: mean IoU of the masks themselves (Table 4: fgbg; Table 5: the others)."""
    fgbg = {row["masks"]: float(row["mean_iou"]) for row in published_rows("table4_fgbg_masks")}
    multi = {row["masks"]: float(row["mean_iou"]) for row in published_rows("table5_multiclass_masks")}
    rows = []
    for result in results:
        facts = result.facts
        row: dict[str, object] = {key: facts[key] for key in ("prior", "crf", "split")}
        row |= {"images": result.images, "mean_iou": _percent(result.matrix.mean_iou())}
        if facts["prior"] == "fgbg":
            background, foreground = result.matrix.iou().tolist()
            row |= {"background": _percent(background), "foreground": _percent(foreground)}
        if published == "voc":
            known = fgbg["Ours"] if facts["prior"] == "fgbg" else multi[_TABLE5[facts["prior"]]]
            row["published_mean_iou"] = known
        rows.append(row)
    return pd.DataFrame(rows)


def published_rows(table: str) -> list[dict[str, str]]:
    """Rows of one of the paper's tables, `resources/published/TABLE.csv`."""
    text = (resources.files("tagseg") / "resources" / "published" / f"{table}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _percent(value: float) -> float:
    return round(100 * value, 2)
