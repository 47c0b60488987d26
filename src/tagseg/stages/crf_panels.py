"""Draw masks of the CRF without and with regions, after the paper's Fig. 6."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from tagseg.artifacts.shard_sets import ShardSet
from tagseg.config import Prior
from tagseg.config.arguments import Classes, Files, GroundTruth, Output, Tags
from tagseg.datasets.index import ImageRecord, read_classes
from tagseg.datasets.truths import Truths
from tagseg.evaluation.confusion import any_foreground
from tagseg.figures.grid import Cell, image_grid
from tagseg.figures.panels import image_panel, label_panel, region_panel
from tagseg.images.files import read_image
from tagseg.runtime.pictures import display_names, write_figure


def run(
    prior: Annotated[Prior, Field(description="Whose masks are shown")],
    tags: Tags,
    classes: Classes,
    ground_truth: GroundTruth,
    regions: Files,
    pairwise: Annotated[list[Path], Field(description="Mask shards made with the pairwise CRF; repeatable")],
    higher_order: Annotated[list[Path], Field(description="Mask shards made with regions, too; repeatable")],
    output: Output,
    *,
    split: Annotated[str, Field(description="Split to show")] = "val",
    count: Annotated[int, Field(ge=1, description="Images: those that regions change most")] = 6,
) -> None:
    """Draw masks of the dense CRF without and with regions, for the images that regions change most.

    Columns: image, truth, dense CRF, regions, dense CRF with higher-order terms; rows: `count` images in the order of
    `tags.csv`. The label maps are masks of `prior`; those of `fgbg` are shown beside the truth's foreground. Raises
    TagsegError if no image of the split has truth.
    """
    truths = Truths(tags, ground_truth, split, "draw panels")
    region_maps = ShardSet(regions, "regions")
    without, with_regions = ShardSet(pairwise, "labels"), ShardSet(higher_order, "labels")
    changed = [np.mean(without.get(r.id, "labels") != with_regions.get(r.id, "labels")) for r in truths.records]
    most_changed = sorted(np.argsort(changed, kind="stable")[::-1][:count])

    def cells(record: ImageRecord) -> list[Cell]:
        image, truth = read_image(record.path), truths.labels(record)
        return [
            ("image", image_panel(image)),
            ("truth", label_panel(any_foreground(truth) if prior == "fgbg" else truth)),
            ("dense CRF", label_panel(without.get(record.id, "labels"))),
            ("regions", region_panel(image, region_maps.get(record.id, "regions"))),
            ("dense CRF + higher order", label_panel(with_regions.get(record.id, "labels"))),
        ]

    rows = [(record.id, cells(record)) for record in (truths.records[i] for i in most_changed)]
    names = ["background", "foreground"] if prior == "fgbg" else list(display_names(read_classes(classes)).values())
    write_figure(image_grid(rows, names), output)
