"""Result tables: the metrics of this run and, for the paper's data sets, the published ones.

All IoU and accuracy values are in percent. `source` is `measured` or `published`. If the paper reports the same
quantity, `published_...` is its value, and `difference` is measured minus published.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tagseg.evaluation import published as paper
from tagseg.evaluation.published import Published
from tagseg.evaluation.result import Result
from tagseg.evaluation.trimap import Trimap

_FIRST = ["method", "crf", "source", "recipe", "miou", "classes", "pixel_accuracy"]
_ABLATION = ["experiment", "source", "recipe", "mask", "crf", "fov", "miou_no_crf", "miou"]
_ABLATION += ["published_setup", "published_miou", "difference"]
_LAST = ["mean_accuracy", "frequency_weighted_iou", "table", "counterpart", "published_miou", "difference"]


def miou_table(results: list[Result], published: Published) -> pd.DataFrame:
    """The headline table: one row per method, with mIoU and one column per class; published rows come last.

    `published` selects Tables 1 and 3, 7 or 8. `classes` is the number of classes in the mean: those that occur in
    truth or prediction. On small splits it varies between rows, and a network that no longer predicts an absent class
    improves its mean by dropping a zero. For columns of classes see `class_column`.
    """
    rows: list[dict[str, object]] = []
    for result in results:
        matrix, facts = result.matrix, result.facts
        rows.append(
            {
                "method": facts["experiment"],
                "crf": facts["smoothing"],
                "source": "measured",
                **_recipe(facts),
                "miou": _percent(matrix.mean_iou()),
                "classes": int(np.isfinite(matrix.iou()).sum()),
                "pixel_accuracy": _percent(matrix.pixel_accuracy()),
                **{class_column(n): _percent(v) for n, v in zip(result.classes, matrix.iou().tolist(), strict=True)},
                "mean_accuracy": _percent(matrix.mean_accuracy()),
                "frequency_weighted_iou": _percent(matrix.frequency_weighted_iou()),
                **_comparison(_percent(matrix.mean_iou()), paper.experiment_counterpart(facts, published)),
            }
        )
    for row in paper.headline_rows(published):
        figures = {
            key if key == "miou" else class_column(key): float(value) if value else np.nan
            for key, value in row.items()
            if key not in ("method", "table")
        }
        rows.append({"method": row["method"], "crf": "", "source": "published", "table": row["table"], **figures})
    frame = pd.DataFrame(rows)
    last = [column for column in _LAST if column in frame and (published != "none" or column in _LAST[:2])]
    between = [column for column in frame if column not in _FIRST + _LAST]
    first = [column for column in _FIRST if column in frame]
    return frame[[*first, *between, *last]].astype({"classes": "Int64"})  # nullable: blank in published rows


def class_column(name: str) -> str:
    """The name of a class's column in `miou.csv`: with the suffix ` (class)` if it equals that of another column."""
    return f"{name} (class)" if name in _FIRST + _LAST else name


def ablation_table(results: list[Result], published: Published) -> pd.DataFrame:
    """One row per experiment: mask, CRF, field of view, mIoU without and with its CRF, comparison with Table 6.

    A result with a CRF that is not the experiment's own (`smoothing` is neither `crf` nor none) gives no figure. The
    rows of Table 6 come last, in the same columns.
    """
    rows: dict[str, dict[str, object]] = {}
    for result in results:
        facts = result.facts
        start: dict[str, object] = {"experiment": facts["experiment"], "source": "measured"}
        start |= {**_recipe(facts), **{key: facts[key] for key in ("mask", "crf", "fov")}}
        row = rows.setdefault(facts["experiment"], start)
        if facts["smoothing"] == "none":
            row["miou_no_crf"] = _percent(result.matrix.mean_iou())
        if facts["smoothing"] == facts["crf"]:
            row["miou"] = _percent(result.matrix.mean_iou())
        known = paper.experiment_counterpart(
            {**facts, "smoothing": facts["crf"]}, "voc" if published == "voc" else "none"
        )
        if known:
            row["published_setup"], row["published_miou"] = known.row, known.miou
            if "miou" in row:
                row["difference"] = round(float(str(row["miou"])) - known.miou, 2)
    frame = pd.DataFrame(list(rows.values()))
    if published == "voc":
        figures = paper.table6()
        known_rows = [
            {"experiment": setup, "source": "published", "mask": mask, "crf": crf, "fov": fov, "miou": figures[setup]}
            for (mask, crf, fov), setup in paper.TABLE6.items()
        ]
        frame = pd.concat([frame, pd.DataFrame(known_rows)], ignore_index=True)
    return frame[[column for column in _ABLATION if column in frame]]


def masks_table(results: list[Result], published: Published) -> pd.DataFrame:
    """Mean IoU of masks: one row per prior, CRF, split and sample (fgbg as in Table 4, others as in Table 5).

    `sample` is the percentage of the split's images that was evaluated. The rows of Tables 4 and 5 come last.
    """
    rows: list[dict[str, object]] = []
    for result in results:
        facts = result.facts
        row: dict[str, object] = {key: facts[key] for key in ("prior", "crf", "split")}
        row |= {"images": result.images, "mean_iou": _percent(result.matrix.mean_iou())}
        if facts["prior"] == "fgbg":
            background, foreground = result.matrix.iou().tolist()
            row |= {"background": _percent(background), "foreground": _percent(foreground)}
        row |= {"source": "measured", **_recipe(facts), "sample": round(100 * float(facts.get("sample", "1")), 4)}
        known = paper.masks_counterpart(facts, published)
        if known:
            row |= {"table": known.table, "published_mean_iou": known.miou}
            row["difference"] = round(_percent(result.matrix.mean_iou()) - known.miou, 2)
        rows.append(row)
    if published == "voc":
        for file, table, split, sample in (
            ("table4_fgbg_masks", "Table 4", "train", 10.0),
            ("table5_multiclass_masks", "Table 5", "val", 100.0),
        ):
            where = {"split": split, "source": "published", "sample": sample, "table": table}
            rows += [
                {"prior": row["masks"], "mean_iou": float(row["mean_iou"]), **where}
                for row in paper.published_rows(file)
            ]
    return pd.DataFrame(rows).astype({"images": "Int64"})  # nullable: blank in published rows


def trimap_table(trimaps: Mapping[tuple[str, str], Trimap]) -> pd.DataFrame:
    """One row per method, CRF and band width in pixels: number of pixels, pixel accuracy and mIoU (Fig. 10).

    The keys of `trimaps` are (method, CRF). All rows are measured: the paper plots these curves without numbers.
    """
    rows = [
        {
            "method": method,
            "crf": crf,
            "source": "measured",
            "width": width,
            "pixels": int(band.counts.sum()),
            "pixel_accuracy": _percent(band.pixel_accuracy()),
            "miou": _percent(band.mean_iou()),
        }
        for (method, crf), trimap in trimaps.items()
        for width, band in enumerate(trimap.bands(), start=1)
    ]
    return pd.DataFrame(rows)


def image_table(images: Sequence[tuple[str, float, float]]) -> pd.DataFrame:
    """One row per image, from its id, mean IoU and pixel accuracy in [0, 1]; NaN, for a truth of 255 only, is blank."""
    rows = [(image_id, _percent(iou), _percent(accuracy)) for image_id, iou, accuracy in images]
    return pd.DataFrame(rows, columns=["id", "miou", "pixel_accuracy"])


def _recipe(facts: Mapping[str, str]) -> dict[str, object]:
    """Which recipe a result is of, where it says so: one that was made by hand need not."""
    return {"recipe": facts["recipe"]} if "recipe" in facts else {}


def _comparison(measured: float, known: paper.Counterpart | None) -> dict[str, object]:
    """Columns that compare a measured value with a published one."""
    if known is None:
        return {}
    return {
        "counterpart": f"{known.table}: {known.row}",
        "published_miou": known.miou,
        "difference": round(measured - known.miou, 2),
    }


def _percent(value: float) -> float:
    return round(100 * value, 2)
