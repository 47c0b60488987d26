"""The picture of the CRF with and without regions, after the paper's Fig. 6."""

from pathlib import Path

import numpy as np

from tagseg.config import Prior
from tagseg.datasets.images import read_image
from tagseg.datasets.index import read_classes
from tagseg.evaluation.confusion import any_foreground
from tagseg.figures.panels import panel_figure
from tagseg.figures.regions import paint_regions
from tagseg.pictures import write_figure
from tagseg.store import ShardSet
from tagseg.truths import Truths


def run(
    prior: Prior,
    tags: Path,
    classes: Path,
    ground_truth: Path,
    regions: list[Path],
    pairwise: list[Path],
    higher_order: list[Path],
    output: Path,
    *,
    split: str,
    count: int,
) -> None:
    """Write image, truth, dense CRF, regions, dense CRF with regions, for the `count` images that regions change most.

    Label maps are masks of `prior`; those of `fgbg` are set beside the truth's foreground. Raises TagsegError if no
    image of the split has truth.
    """
    truths = Truths(tags, ground_truth, split, "draw panels")
    areas, without, with_regions = (
        ShardSet(regions, "regions"),
        ShardSet(pairwise, "labels"),
        ShardSet(higher_order, "labels"),
    )
    changed = [np.mean(without.get(r.id, "mask") != with_regions.get(r.id, "mask")) for r in truths.records]
    chosen = sorted(np.argsort(changed, kind="stable")[::-1][:count])
    rows = []
    for record in (truths.records[i] for i in chosen):
        image, truth = read_image(record.path), truths.labels(record)
        rows.append(
            [
                image,
                any_foreground(truth) if prior == "fgbg" else truth,
                without.get(record.id, "mask"),
                paint_regions(image, areas.get(record.id, "labels")),
                with_regions.get(record.id, "mask"),
            ]
        )
    columns = ["image", "truth", "dense CRF", "regions", "dense CRF + higher order"]
    names = ["background", "foreground"] if prior == "fgbg" else read_classes(classes)
    figure = panel_figure(columns, rows, [truths.records[i].id for i in chosen], names)
    write_figure(figure, output)
