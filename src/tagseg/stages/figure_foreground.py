"""Draw Fig. 3: from a network's mean activations to a foreground mask, beside the truth."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from tagseg.artifacts.shard_sets import ShardSet
from tagseg.config.arguments import Count, GroundTruth, Outputs, Split, Tags, Threads
from tagseg.config.networks import BackboneSettings, InferenceMachine, ViewSettings
from tagseg.datasets.index import ImageRecord
from tagseg.datasets.truths import Truths
from tagseg.evaluation.confusion import any_foreground
from tagseg.figures.grid import Cell, image_grid
from tagseg.figures.panels import heat_panel, image_panel, label_panel
from tagseg.images.files import read_image
from tagseg.images.resize import resize_map
from tagseg.networks.backbones import load_backbone
from tagseg.networks.backbones.base import normalise
from tagseg.networks.views import mean_over_mirror
from tagseg.networks.views import views as image_views
from tagseg.priors.foreground import mean_activation, scale_min_max
from tagseg.runtime.device import Device, prepare
from tagseg.runtime.frozen_trunk import trunk_stride
from tagseg.runtime.pictures import check_suffixes, write_figure
from tagseg.runtime.prefetch import image_batches


def run(
    tags: Tags,
    ground_truth: GroundTruth,
    priors: Annotated[list[Path], Field(description="Shards of the fgbg prior; repeatable")],
    masks: Annotated[list[Path], Field(description="Shards of fgbg masks; repeatable")],
    outputs: Outputs,
    network: BackboneSettings,
    views: ViewSettings,
    machine: InferenceMachine,
    *,
    split: Split = "val",
    count: Count = 6,
    threads: Threads = 1,
) -> None:
    """Draw Fig. 3: mean activations of each layer, their fusion, the foreground mask, the truth.

    `count` images are spread evenly over the split. Columns: image, the mean activations of every layer from conv1 to
    conv5 that the backbone has, their fusion Pf, the `fgbg` mask, the truth's foreground. The trunk runs on these
    images here, because `tagseg extract` keeps only conv4 and conv5, of which Pf is made.
    """
    check_suffixes(outputs)
    truths = Truths(tags, ground_truth, split, "draw the foreground")
    prior_maps, mask_maps = ShardSet(priors, "probabilities"), ShardSet(masks, "labels")
    records = truths.evenly(count)
    activations = _activations(records, network, views, machine, prepare(machine, threads))

    def cells(record: ImageRecord) -> list[Cell]:
        foreground = resize_map(prior_maps.get(record.id, "maps")[1], (record.height, record.width))
        return [
            ("image", image_panel(read_image(record.path))),
            *((layer, heat_panel(mean)) for layer, mean in activations[record.id].items()),
            ("fusion Pf", heat_panel(foreground)),
            ("mask", label_panel(mask_maps.get(record.id, "labels"))),
            ("truth", label_panel(any_foreground(truths.labels(record)))),
        ]

    rows = [(record.id, cells(record)) for record in records]
    write_figure(image_grid(rows, ["background", "foreground"]), *outputs)


@torch.inference_mode()
def _activations(
    records: Sequence[ImageRecord],
    network: BackboneSettings,
    views: ViewSettings,
    machine: InferenceMachine,
    device: Device,
) -> dict[str, dict[str, np.ndarray]]:
    """Mean activations (H, W) float32 in [0, 1] by image and layer.

    As for Pf, they are averaged over the mirror image, scaled to that range at each scale, averaged over the scales,
    and scaled again.
    """
    stride = trunk_stride(views.stride)
    backbone = load_backbone(network.backbone, network.weights, network.preprocessing, stride=stride)
    trunk, activations = device.move(backbone.trunk), {}
    for group, images in image_batches(records, machine.images_at_once, device.loaders):
        sent = normalise(images.to(device.torch_device), backbone.statistics)
        scales = []
        for of_scale in image_views(sent, views.scales, views.mirror):
            maps = [trunk.layers(view) for view in of_scale]  # type: ignore[operator]  # (a method of all trunks)
            means = {name: [mean_activation(own[name])[:, None] for own in maps] for name in maps[0]}
            scales.append({name: mean_over_mirror(own)[:, 0].cpu().numpy() for name, own in means.items()})
        size = group[0].height, group[0].width
        for i, record in enumerate(group):
            activations[record.id] = {
                layer: scale_min_max(
                    np.mean([scale_min_max(resize_map(maps[layer][i], size)) for maps in scales], axis=0)
                )
                for layer in scales[0]
            }
    return activations
