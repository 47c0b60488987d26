"""Draw Figs. 6 to 8: the best, median and worst images of a run, all its experiments side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from tagseg.artifacts.shard_sets import ShardSet
from tagseg.config.arguments import Classes, Count, GroundTruth, Named, Outputs, Split, Tags
from tagseg.datasets.index import ImageRecord, read_classes, read_table
from tagseg.datasets.truths import Truths
from tagseg.errors import TagsegError
from tagseg.figures.grid import Cell, Row, image_grid
from tagseg.figures.panels import image_panel, label_panel
from tagseg.images.files import read_image
from tagseg.runtime.pictures import check_suffixes, display_names, write_figure

Rank = Literal["best", "median", "worst"]


def run(
    rank: Annotated[Rank, Field(description="Which images")],
    tags: Tags,
    classes: Classes,
    ground_truth: GroundTruth,
    scores: Annotated[
        dict[str, Path],
        Named("score"),
        Field(description="NAME=FILE of tagseg evaluate --per-image; repeatable"),
    ],
    predictions: Annotated[
        dict[str, list[Path]],
        Named("prediction"),
        Field(description="NAME=SHARD; for each experiment and shard"),
    ],
    outputs: Outputs,
    *,
    split: Split = "val",
    count: Count = 6,
) -> None:
    """Draw the best, median or worst images of a run, all its experiments side by side (Figs. 6 to 8).

    Columns: image, each experiment's prediction, truth; beside each of the `count` images stands its IoU in percent
    under each experiment. `scores` are the per-image tables of tagseg evaluate by experiment. Images are ranked by the
    experiment with the highest mean; ties stay in the order of `tags.csv`. Raises TagsegError if scores and predictions
    are of different experiments, or if an image has no score.
    """
    check_suffixes(outputs)
    if not scores or scores.keys() != predictions.keys():
        raise TagsegError(
            f"scores are of {', '.join(scores) or 'nothing'}, predictions of {', '.join(predictions) or 'nothing'}; "
            "give --score and --prediction for the same experiments"
        )
    truths = Truths(tags, ground_truth, split, "rank images")
    tables = {name: _scores(path, truths.records, split) for name, path in scores.items()}
    leader = max(tables, key=lambda name: _known_mean(tables[name]))
    order = ranked(tables[leader], rank, count)
    if not order:
        raise TagsegError(f"{scores[leader]}: no image of split {split} has a score; there is nothing to rank")
    maps = {name: ShardSet(paths, "labels") for name, paths in predictions.items()}

    def cells(record: ImageRecord) -> list[Cell]:
        return [
            ("image", image_panel(read_image(record.path))),
            *(
                (f"{name}\n(ranks)" if name == leader else name, label_panel(shards.get(record.id, "labels")))
                for name, shards in maps.items()
            ),
            ("truth", label_panel(truths.labels(record))),
        ]

    rows: list[Row] = []
    for i in order:
        record = truths.records[i]
        rows.append((f"{record.id}\n{' / '.join(f'{own[i]:.0f}' for own in tables.values())}", cells(record)))
    write_figure(image_grid(rows, list(display_names(read_classes(classes)).values())), *outputs)


def ranked(values: np.ndarray, rank: Rank, count: int) -> list[int]:
    """Indices of the `count` best (best first), median (around the middle) or worst (worst first) of values (n,).

    NaN, the score of an image whose truth is ignored everywhere, has no rank.
    """
    order = [int(i) for i in np.argsort(-values, kind="stable") if np.isfinite(values[i])]
    if rank == "worst":
        return order[::-1][:count]
    start = 0 if rank == "best" else max(0, (len(order) - count) // 2)
    return order[start : start + count]


def _scores(path: Path, records: Sequence[ImageRecord], split: str) -> np.ndarray:
    """The mean IoU in percent of each record, (n,) float64; NaN where the table leaves it blank."""
    try:
        table = {row["id"]: float(row["miou"] or "nan") for _, row in read_table(path, ["id", "miou"])}
    except ValueError:
        raise TagsegError(f"{path}: column miou must hold numbers; evaluate again with --per-image") from None
    missing = [record.id for record in records if record.id not in table]
    if missing:
        raise TagsegError(f"{path}: no score of image {missing[0]!r}; evaluate split {split} again")
    return np.array([table[record.id] for record in records])


def _known_mean(values: np.ndarray) -> float:
    """Mean of the values in [0, 100], without NaN; -1 if all are NaN."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else -1.0
