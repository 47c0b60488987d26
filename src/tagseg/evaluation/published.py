"""The paper's figures, and which of them a row of this run may be set beside. All are mean IoU in percent."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal

Published = Literal["none", "voc", "yto", "coco"]

# Rows of the published Table 6 by the three choices that make an experiment; all are with a CRF on the prediction.
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
# On the other two data sets the paper gives one set-up, its last; whichever field of view, it is the nearest.
_OURS = "Ours (multi-class masks)"
_TABLE5 = {"localization": "localization", "multiclass": "localization+fusion"}
PART_OF_TABLE_4 = "0.1"  # of the training images, drawn at random


@dataclass(frozen=True)
class Counterpart:
    """A published figure: where it stands, which row it is, mean IoU in percent."""

    table: str
    row: str
    miou: float


def published_rows(table: str) -> list[dict[str, str]]:
    """Rows of one of the paper's tables, `resources/published/TABLE.csv`."""
    text = (resources.files("tagseg") / "resources" / "published" / f"{table}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def headline_rows(published: Published) -> list[dict[str, str]]:
    """The published rows that stand below a run's headline: `table`, `method`, `miou`, and classes where given.

    VOC: Table 3 (methods that know more than tags, val) and Table 1 (tags alone, val); Table 2 is of the test server's
    images, whose truth nobody has. YouTube-Objects: Table 7. COCO: Table 8, which has a row a class, turned.
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


def of_experiment(facts: Mapping[str, str], published: Published) -> Counterpart | None:
    """The published figure of an experiment with its own CRF on the prediction; None where the paper has no such row.

    `facts` are mask, crf, fov and smoothing; one that lacks any of them has no counterpart.
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


def of_masks(facts: Mapping[str, str], published: Published) -> Counterpart | None:
    """The published figure of masks evaluated as there; None for another split, part, or data set.

    Table 4: foreground masks of a random tenth of the training images. Table 5: class masks of the evaluation images,
    tags known. The paper does not say which CRF these masks had: every one is set beside it.
    """
    prior, where = facts["prior"], (facts["split"], facts.get("sample", "1"))
    if published != "voc":
        return None
    if prior == "fgbg" and where == ("train", PART_OF_TABLE_4):
        figures = {row["masks"]: float(row["mean_iou"]) for row in published_rows("table4_fgbg_masks")}
        return Counterpart("Table 4", "Ours", figures["Ours"])
    if prior in _TABLE5 and where == ("val", "1"):
        figures = {row["masks"]: float(row["mean_iou"]) for row in published_rows("table5_multiclass_masks")}
        return Counterpart("Table 5", _TABLE5[prior], figures[_TABLE5[prior]])
    return None


def table6() -> dict[str, float]:
    """mIoU of the published Table 6 by set-up."""
    return {row["setup"]: float(row["miou_val"]) for row in published_rows("table6_ablation")}
