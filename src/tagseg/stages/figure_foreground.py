"""Fig. 3: from a network's mean activations to a foreground mask, beside the truth."""

from pathlib import Path

import numpy as np

from tagseg.datasets.images import read_image
from tagseg.datasets.index import ImageRecord
from tagseg.errors import TagsegError
from tagseg.evaluation.confusion import any_foreground
from tagseg.figures.panels import panel_figure
from tagseg.pictures import checked_outputs, write_figure
from tagseg.priors.foreground import resize_map, scale_min_max
from tagseg.store import ShardSet
from tagseg.truths import Truths

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")


def run(
    tags: Path,
    ground_truth: Path,
    activations: list[Path],
    priors: list[Path],
    masks: list[Path],
    outputs: list[Path],
    *,
    split: str,
    count: int,
) -> None:
    """Draw image, mean activations, their fusion Pf, the mask of `fgbg` and the truth's foreground, `count` images.

    The paper shows conv1 to conv5; those that the activation shards hold are drawn, and `tagseg extract` keeps conv4
    and conv5, of which Pf is made. Each is scaled from its own minimum to its maximum. Raises TagsegError if the shards
    hold none of them.
    """
    checked_outputs(outputs)
    truths = Truths(tags, ground_truth, split, "draw the foreground")
    features, prior_maps, mask_maps = (
        ShardSet(activations, "activations"),
        ShardSet(priors, "probabilities"),
        ShardSet(masks, "labels"),
    )
    chosen = truths.evenly(count)
    held = features.names(chosen[0].id)
    layers = [name for name in held if name.split("-")[0] in LAYERS]
    if not layers:
        raise TagsegError(f"{activations[0]}: holds none of {', '.join(LAYERS)}; extract again")

    def size_of(record: ImageRecord) -> tuple[int, int]:
        return record.height, record.width

    rows: list[list[np.ndarray]] = [
        [
            read_image(record.path),
            *(scale_min_max(resize_map(features.get(record.id, name), size_of(record))) for name in layers),
            resize_map(prior_maps.get(record.id, "maps")[1], size_of(record)),
            mask_maps.get(record.id, "mask"),
            any_foreground(truths.labels(record)),
        ]
        for record in chosen
    ]
    # conv4-0, conv4-1, ...: a layer at each of several scales, the scale's number behind the dash
    once = all(name.endswith("-0") for name in layers)
    columns = ["image", *(name.removesuffix("-0") if once else name for name in layers), "fusion Pf", "mask", "truth"]
    figure = panel_figure(columns, rows, [record.id for record in chosen], ["background", "foreground"])
    write_figure(figure, *outputs)
