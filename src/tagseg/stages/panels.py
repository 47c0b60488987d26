"""Draw panels.png: images from photograph to prediction, beside the truth."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from tagseg.artifacts.shard_sets import ShardSet
from tagseg.config.arguments import Classes, Files, GroundTruth, Named, Output, Tags
from tagseg.datasets.index import ImageRecord, read_classes
from tagseg.datasets.truths import Truths
from tagseg.figures.grid import Cell, image_grid
from tagseg.figures.panels import heat_panel, image_panel, label_panel
from tagseg.images.files import read_image
from tagseg.images.resize import resize_map
from tagseg.runtime.pictures import display_names, stored_class_maps, write_figure


def run(
    tags: Tags,
    classes: Classes,
    ground_truth: GroundTruth,
    priors: Files,
    cams: Files,
    masks: Files,
    predictions: Annotated[
        dict[str, list[Path]],
        Named("prediction"),
        Field(description="NAME=SHARD; for each experiment and shard"),
    ],
    output: Output,
    *,
    split: Annotated[str, Field(description="Split to show")] = "val",
    count: Annotated[int, Field(ge=1, description="Images")] = 12,
) -> None:
    """Draw images on their way from photograph to prediction, beside the truth.

    `count` images are spread evenly over the split. Columns: image, foreground prior, CAMs, multi-class mask (known
    tags), each experiment's prediction, truth.
    """
    truths = Truths(tags, ground_truth, split, "draw panels")
    prior_maps, cam_maps = ShardSet(priors, "probabilities"), ShardSet(cams, "cams")
    mask_maps = ShardSet(masks, "labels")
    predicted = {name: ShardSet(paths, "labels") for name, paths in predictions.items()}

    def cells(record: ImageRecord) -> list[Cell]:
        foreground = resize_map(prior_maps.get(record.id, "maps")[1], (record.height, record.width))
        return [
            ("image", image_panel(read_image(record.path))),
            ("foreground prior", heat_panel(foreground)),
            ("CAMs of the tags", stored_class_maps(cam_maps, record, "cams")),
            ("mask (known tags)", label_panel(mask_maps.get(record.id, "labels"))),
            *((name, label_panel(maps.get(record.id, "labels"))) for name, maps in predicted.items()),
            ("truth", label_panel(truths.labels(record))),
        ]

    shown = display_names(read_classes(classes))
    rows = [
        (f"{record.id}\n{', '.join(shown[tag] for tag in record.tags)}", cells(record))
        for record in truths.evenly(count)
    ]
    write_figure(image_grid(rows, list(shown.values())), output)
