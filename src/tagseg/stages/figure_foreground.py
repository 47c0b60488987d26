"""Fig. 3: from a network's mean activations to a foreground mask, beside the truth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from tagseg.config import BackboneSettings, InferenceMachine, ViewSettings
from tagseg.datasets.images import read_image
from tagseg.datasets.index import ImageRecord
from tagseg.evaluation.confusion import any_foreground
from tagseg.features import FrozenTrunk
from tagseg.figures.panels import panel_figure
from tagseg.machine import prepare
from tagseg.pictures import checked_outputs, write_figure
from tagseg.priors.foreground import resize_map, scale_min_max
from tagseg.store import ShardSet
from tagseg.truths import Truths


def run(
    tags: Path,
    ground_truth: Path,
    priors: list[Path],
    masks: list[Path],
    outputs: list[Path],
    network: BackboneSettings,
    looks: ViewSettings,
    machine: InferenceMachine,
    *,
    split: str,
    count: int,
    threads: int,
) -> None:
    """Draw image, mean activations, their fusion Pf, the mask of `fgbg` and the truth's foreground, `count` images.

    The activations are those of every layer from conv1 to conv5 that the backbone has. The trunk is run on these images
    alone: `tagseg extract` keeps conv4 and conv5, of which Pf is made.
    """
    checked_outputs(outputs)
    truths = Truths(tags, ground_truth, split, "draw the foreground")
    prior_maps, mask_maps = ShardSet(priors, "probabilities"), ShardSet(masks, "labels")
    chosen = truths.evenly(count)
    frozen = FrozenTrunk(network, looks, prepare(machine, threads))
    layers = _layers(frozen, chosen, machine.images_at_once)
    rows: list[list[np.ndarray]] = [
        [
            read_image(record.path),
            *layers[record.id].values(),
            resize_map(prior_maps.get(record.id, "maps")[1], (record.height, record.width)),
            mask_maps.get(record.id, "mask"),
            any_foreground(truths.labels(record)),
        ]
        for record in chosen
    ]
    columns = ["image", *layers[chosen[0].id], "fusion Pf", "mask", "truth"]
    figure = panel_figure(columns, rows, [record.id for record in chosen], ["background", "foreground"])
    write_figure(figure, *outputs)


@torch.inference_mode()
def _layers(
    frozen: FrozenTrunk, records: Sequence[ImageRecord], images_at_once: int
) -> dict[str, dict[str, np.ndarray]]:
    """By image and layer, (H, W) float32 in [0, 1]: brought there at each scale, as Pf takes them, and their mean."""
    found = {}
    for group, images in frozen.batches(records, images_at_once):
        scales = [
            {name: values.cpu().numpy() for name, values in maps.items()}
            for maps in frozen.activations(images, every_layer=True)
        ]
        size = group[0].height, group[0].width
        for i, record in enumerate(group):
            found[record.id] = {
                name: scale_min_max(
                    np.mean([scale_min_max(resize_map(maps[name][i], size)) for maps in scales], axis=0)
                )
                for name in scales[0]
            }
    return found
