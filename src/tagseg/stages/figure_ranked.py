"""Figs. 6 to 8: the best, median and worst images of a run, all its experiments side by side."""

from pathlib import Path
from typing import Literal

import numpy as np

from tagseg.datasets.images import read_image
from tagseg.datasets.index import read_classes, read_table
from tagseg.errors import TagsegError
from tagseg.figures.panels import panel_figure
from tagseg.pictures import checked_outputs, write_figure
from tagseg.store import ShardSet
from tagseg.truths import Truths

Rank = Literal["best", "median", "worst"]


def run(
    rank: Rank,
    tags: Path,
    classes: Path,
    ground_truth: Path,
    scores: dict[str, Path],
    predictions: dict[str, list[Path]],
    outputs: list[Path],
    *,
    split: str,
    count: int,
) -> None:
    """Draw image, each experiment's prediction and truth for `count` images; their IoU stands beside them, in percent.

    `scores` are the tables a row an image that `tagseg evaluate --per-image` wrote, by experiment. Images are ranked by
    the experiment whose mean over them is highest; ties stay in the order of `tags.csv`. Raises TagsegError if scores
    and predictions are of different experiments, or an image has no score.
    """
    checked_outputs(outputs)
    if not scores or scores.keys() != predictions.keys():
        raise TagsegError(
            f"scores are of {', '.join(scores) or 'nothing'}, predictions of {', '.join(predictions) or 'nothing'}; "
            "give --score and --prediction for the same experiments"
        )
    truths = Truths(tags, ground_truth, split, "rank images")
    tables = {name: _scores(path) for name, path in scores.items()}
    for name, table in tables.items():
        lacking = [record.id for record in truths.records if record.id not in table]
        if lacking:
            raise TagsegError(f"{scores[name]}: no score of image {lacking[0]!r}; evaluate split {split} again")
    values = {name: np.array([table[record.id] for record in truths.records]) for name, table in tables.items()}
    known = {name: np.nanmean(own) if np.isfinite(own).any() else -1.0 for name, own in values.items()}
    leader = max(known, key=lambda name: known[name])
    chosen = [truths.records[i] for i in ranked(values[leader], rank, count)]
    maps = {name: ShardSet(paths, "labels") for name, paths in predictions.items()}
    rows = [
        [
            read_image(record.path),
            *(shards.get(record.id, "mask") for shards in maps.values()),
            truths.labels(record),
        ]
        for record in chosen
    ]
    columns = ["image", *(f"{name}\n(ranks)" if name == leader else name for name in maps), "truth"]
    names = [
        "\n".join([record.id, " / ".join(f"{table[record.id]:.0f}" for table in tables.values())]) for record in chosen
    ]
    write_figure(panel_figure(columns, rows, names, read_classes(classes)), *outputs)


def ranked(values: np.ndarray, rank: Rank, count: int) -> list[int]:
    """Places of the `count` best (best first), median (around the middle) or worst (worst first) of values (n,).

    Those that are NaN, of images whose truth is ignored throughout, have no rank.
    """
    order = [int(i) for i in np.argsort(-values, kind="stable") if np.isfinite(values[i])]
    if rank == "worst":
        return order[::-1][:count]
    start = 0 if rank == "best" else max(0, (len(order) - count) // 2)
    return order[start : start + count]


def _scores(path: Path) -> dict[str, float]:
    try:
        return {row["id"]: float(row["miou"] or "nan") for _, row in read_table(path, ["id", "miou"])}
    except ValueError:
        raise TagsegError(f"{path}: column miou must hold numbers; evaluate again with --per-image") from None
