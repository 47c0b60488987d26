"""The paper's results, all mean IoU in percent, and which of them correspond to a row of this run."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal

Published = Literal["none", "voc", "yto", "coco"]

# Rows of Table 6 by mask, CRF and field of view; all apply a CRF to the prediction.
TABLE6 = {
    ("none", "pairwise", "small"): "Tag-only baseline (no mask)",
    ("fgbg", "pairwise", "small"): "Foreground/background priors",
    ("fgbg", "higher_order", "small"): "Foreground/background priors + higher order",
    ("localization", "pairwise", "small"): "Localization priors",
    ("localization", "higher_order", "small"): "Localization priors + higher order",
    ("multiclass", "pairwise", "small"): "Localization+fusion priors",
    ("multiclass", "higher_order", "small"): "Localization+fusion priors + higher order (small FOV)",
    ("multiclass", "higher_order", "large"): "Localization+fusion priors + higher order (large FOV)",
}
# For the other two data sets the paper reports only this set-up; it is compared with either field of view.
_OURS = "Ours (multi-class masks)"
_TABLE5 = {"localization": "localization", "multiclass": "localization+fusion"}
TABLE4_SAMPLE = "0.1"  # fraction of the training images, drawn at random


@dataclass(frozen=True)
class Counterpart:
    """A published result: its table, its row, and its mean IoU in percent."""

    table: str
    row: str
    miou: float


def published_rows(table: str) -> list[dict[str, str]]:
    """Rows of a table of the paper, by column; `table` is the stem of a file in `resources/published/`."""
    text = (resources.files("tagseg") / "resources" / "published" / f"{table}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def headline_rows(published: Published) -> list[dict[str, str]]:
    """The published rows of `miou.csv`: `table`, `method`, `miou`, and one column per class where available.

    VOC: Table 3 (stronger supervision, val) and Table 1 (tags only, val), but not Table 2, which is on the images of
    the test server, without public ground truth. YouTube-Objects: Table 7. COCO: Table 8, transposed.
    """
    if published == "voc":
        more = [
            {"table": "Table 3", "method": row["method"], "miou": row["miou_val"]}
            for row in published_rows("table3_more_supervision")
            if not row["method"].startswith("Ours")  # Table 1 has them
        ]
        return more + [{"table": "Table 1", **row} for row in published_rows("table1_voc_val")]
    if published == "yto":
        return [{"table": "Table 7", **row} for row in published_rows("table7_yto")]
    if published == "coco":
        rows = published_rows("table8_coco_val")
        return [
            {"table": "Table 8", "method": name}
            | {("miou" if row["class"] == "mean IOU" else row["class"]): row[name] for row in rows}
            for name in ("SEC", _OURS)
        ]
    return []


def experiment_counterpart(facts: Mapping[str, str], published: Published) -> Counterpart | None:
    """The published result of an experiment whose predictions are smoothed by its own CRF; None if there is none.

    `facts` has the keys mask, crf, fov and smoothing; without all of them there is no counterpart.
    """
    setup = facts.get("mask", ""), facts.get("crf", ""), facts.get("fov", "")
    if published == "none" or facts.get("smoothing") != facts.get("crf"):
        return None
    if published == "voc":
        if setup not in TABLE6:
            return None
        row = TABLE6[setup]
        return Counterpart("Table 6", row, table6()[row])
    if setup[:2] != ("multiclass", "higher_order"):
        return None
    figure = next(row["miou"] for row in headline_rows(published) if row["method"] == _OURS)
    return Counterpart("Table 7" if published == "yto" else "Table 8", _OURS, float(figure))


def masks_counterpart(facts: Mapping[str, str], published: Published) -> Counterpart | None:
    """The published result of masks evaluated on the same images; None for another split, sample, or data set.

    Table 4: foreground masks of a random tenth of the training images. Table 5: class masks of the val images, with
    known tags. The paper does not say which CRF was used for these masks, so masks of any CRF are compared with them.
    """
    prior, images = facts["prior"], (facts["split"], facts.get("sample", "1"))
    if published != "voc":
        return None
    if prior == "fgbg" and images == ("train", TABLE4_SAMPLE):
        figures = {row["masks"]: float(row["mean_iou"]) for row in published_rows("table4_fgbg_masks")}
        return Counterpart("Table 4", "Ours", figures["Ours"])
    if prior in _TABLE5 and images == ("val", "1"):
        figures = {row["masks"]: float(row["mean_iou"]) for row in published_rows("table5_multiclass_masks")}
        return Counterpart("Table 5", _TABLE5[prior], figures[_TABLE5[prior]])
    return None


def table6() -> dict[str, float]:
    """mIoU of Table 6 in percent, by set-up."""
    return {row["setup"]: float(row["miou_val"]) for row in published_rows("table6_ablation")}
