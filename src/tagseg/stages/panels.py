"""The panel picture: a dozen images' way from photograph to prediction, beside the truth."""

from pathlib import Path

import numpy as np

from tagseg.datasets.images import read_image
from tagseg.datasets.index import ImageRecord, read_classes
from tagseg.figures.panels import colour_cams, panel_figure
from tagseg.pictures import write_figure
from tagseg.priors.foreground import resize_map
from tagseg.store import ShardSet
from tagseg.truths import Truths


def run(
    tags: Path,
    classes: Path,
    ground_truth: Path,
    priors: list[Path],
    cams: list[Path],
    masks: list[Path],
    predictions: dict[str, list[Path]],
    output: Path,
    *,
    split: str,
    count: int,
) -> None:
    """Write the picture for `count` images spread evenly over the split.

    Columns: image, foreground prior, CAMs, multi-class mask (known tags), each experiment's prediction, truth.
    """
    truths = Truths(tags, ground_truth, split, "draw panels")
    chosen = truths.evenly(count)
    prior_maps, cam_maps = ShardSet(priors, "probabilities"), ShardSet(cams, "cams")
    mask_maps = ShardSet(masks, "labels")
    predicted = {name: ShardSet(paths, "labels") for name, paths in predictions.items()}
    rows = [
        [
            read_image(record.path),
            resize_map(prior_maps.get(record.id, "maps")[1], (record.height, record.width)),
            _cam_picture(cam_maps, record),
            mask_maps.get(record.id, "mask"),
            *(maps.get(record.id, "mask") for maps in predicted.values()),
            truths.labels(record),
        ]
        for record in chosen
    ]
    columns = ["image", "foreground prior", "CAMs of the tags", "mask (known tags)", *predicted, "truth"]
    figure = panel_figure(columns, rows, [f"{r.id}\n{', '.join(r.tags)}" for r in chosen], read_classes(classes))
    write_figure(figure, output)


def _cam_picture(cams: ShardSet, record: ImageRecord) -> np.ndarray:
    size = record.height, record.width
    maps = [resize_map(cam, size) for cam in cams.get(record.id, "cams")]
    return colour_cams(np.array(maps).reshape(-1, *size), cams.get(record.id, "labels"))
