"""The panel picture: a dozen images' way from photograph to prediction, beside the truth."""

from pathlib import Path

import numpy as np

from tagseg.datasets.images import read_image, read_labels
from tagseg.datasets.index import ImageRecord, read_classes, read_ground_truth, read_index
from tagseg.errors import TagsegError
from tagseg.figures.panels import colour_cams, panel_figure, save_figure
from tagseg.priors.foreground import resize_map
from tagseg.store import ShardSet, atomic


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
    truth_of = read_ground_truth(ground_truth)
    records = [record for record in read_index(tags, split) if record.id in truth_of]
    if not records:
        raise TagsegError(f"{ground_truth}: no image of split {split} has a truth mask; add masks to draw panels")
    chosen = [records[i] for i in np.unique(np.linspace(0, len(records) - 1, count).round().astype(int))]
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
            read_labels(truth_of[record.id]),
        ]
        for record in chosen
    ]
    columns = ["image", "foreground prior", "CAMs of the tags", "mask (known tags)", *predicted, "truth"]
    figure = panel_figure(columns, rows, [f"{r.id}\n{', '.join(r.tags)}" for r in chosen], read_classes(classes))
    with atomic(output) as temporary:
        save_figure(figure, temporary)


def _cam_picture(cams: ShardSet, record: ImageRecord) -> np.ndarray:
    size = record.height, record.width
    maps = [resize_map(cam, size) for cam in cams.get(record.id, "cams")]
    return colour_cams(np.array(maps).reshape(-1, *size), cams.get(record.id, "labels"))
