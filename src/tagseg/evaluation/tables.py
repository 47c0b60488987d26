"""Tables that people read: this run's figures, and the published ones beside them where the data set is the paper's.

All IoU and accuracy figures are in percent. `source` is `measured` or `published`. Where the paper has a row for what
was measured, `published_...` holds its figure and `difference` is measured minus published.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tagseg.evaluation import published as paper
from tagseg.evaluation.published import Published
from tagseg.evaluation.result import Result
from tagseg.evaluation.trimap import Trimap

_FIRST = ["method", "crf", "source", "miou", "classes", "pixel_accuracy"]
_ABLATION = ["experiment", "source", "mask", "crf", "fov", "miou_no_crf", "miou"]
_ABLATION += ["published_setup", "published_miou", "difference"]
_LAST = ["mean_accuracy", "frequency_weighted_iou", "table", "counterpart", "published_miou", "difference"]


def miou_table(results: list[Result], published: Published) -> pd.DataFrame:
    """Method rows, class columns, mIoU: the run's own, then the published rows of Tables 1 and 3, 7 or 8.

    `classes` is how many classes the mean is over: those that truth or prediction has. On a small split that number
    differs from row to row, and a network that stops naming a class wrongly loses a zero from its mean. A class whose
    name is that of another column bears the name with ` (class)` after it.
    """
    rows: list[dict[str, object]] = []
    for result in results:
        matrix, facts = result.matrix, result.facts
        rows.append(
            {
                "method": facts["experiment"],
                "crf": facts["smoothing"],
                "source": "measured",
                "miou": _percent(matrix.mean_iou()),
                "classes": int(np.isfinite(matrix.iou()).sum()),
                "pixel_accuracy": _percent(matrix.pixel_accuracy()),
                **{class_column(n): _percent(v) for n, v in zip(result.classes, matrix.iou().tolist(), strict=True)},
                "mean_accuracy": _percent(matrix.mean_accuracy()),
                "frequency_weighted_iou": _percent(matrix.frequency_weighted_iou()),
                **_beside(_percent(matrix.mean_iou()), paper.of_experiment(facts, published)),
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
    return frame[[*_FIRST, *between, *last]].astype({"classes": "Int64"})  # whole numbers beside published blanks


def class_column(name: str) -> str:
    """The column of `miou.csv` that holds a class."""
    return f"{name} (class)" if name in _FIRST + _LAST else name


def ablation_table(results: list[Result], published: Published) -> pd.DataFrame:
    """One row an experiment: its three choices, mIoU without and with its CRF, and Table 6's figure and difference.

    The rows of Table 6 follow, with the same columns.
    """
    rows: dict[str, dict[str, object]] = {}
    for result in results:
        facts = result.facts
        start: dict[str, object] = {"experiment": facts["experiment"], "source": "measured"}
        row = rows.setdefault(facts["experiment"], start | {key: facts[key] for key in ("mask", "crf", "fov")})
        row["miou_no_crf" if facts["smoothing"] == "none" else "miou"] = _percent(result.matrix.mean_iou())
        if facts["crf"] == "none":
            row["miou"] = row["miou_no_crf"]
        known = paper.of_experiment({**facts, "smoothing": facts["crf"]}, "voc" if published == "voc" else "none")
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
    """One row a prior, CRF, split and part of it: mean IoU of masks (Table 4: fgbg; Table 5: the others).

    `sample` is the part of the split's images that was evaluated, in percent. The rows of Tables 4 and 5 follow.
    """
    rows: list[dict[str, object]] = []
    for result in results:
        facts = result.facts
        row: dict[str, object] = {key: facts[key] for key in ("prior", "crf", "split")}
        row |= {"images": result.images, "mean_iou": _percent(result.matrix.mean_iou())}
        if facts["prior"] == "fgbg":
            background, foreground = result.matrix.iou().tolist()
            row |= {"background": _percent(background), "foreground": _percent(foreground)}
        row |= {"source": "measured", "sample": round(100 * float(facts.get("sample", "1")), 4)}
        known = paper.of_masks(facts, published)
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
    return pd.DataFrame(rows).astype({"images": "Int64"})  # whole numbers beside the published rows' blanks


def trimap_table(trimaps: Mapping[tuple[str, str], Trimap]) -> pd.DataFrame:
    """One row a method, CRF and band width in pixels: pixels, their accuracy and mIoU (Fig. 10).

    The keys are method and CRF. The paper draws these curves and prints no figure of them: all rows are measured.
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
    """One row an image, of its id, mean IoU and pixel accuracy in [0, 1]: both in percent.

    Empty for an image whose truth is 255 throughout: there NaN is given.
    """
    rows = [(image_id, _percent(iou), _percent(accuracy)) for image_id, iou, accuracy in images]
    return pd.DataFrame(rows, columns=["id", "miou", "pixel_accuracy"])


def _beside(measured: float, known: paper.Counterpart | None) -> dict[str, object]:
    """A published figure and how far the measured one is from it."""
    if known is None:
        return {}
    return {
        "counterpart": f"{known.table}: {known.row}",
        "published_miou": known.miou,
        "difference": round(measured - known.miou, 2),
    }


def _percent(value: float) -> float:
    return round(100 * value, 2)
