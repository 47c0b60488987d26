"""Class activation maps of each image's own tags (Eq. 1)."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.shards import write_shard
from tagseg.config.arguments import Output, ShardNumber, Shards, Tags, Threads
from tagseg.config.networks import InferenceMachine, ViewSettings
from tagseg.datasets.index import BACKGROUND, ImageRecord, in_shard, labels_of, read_index
from tagseg.networks.backbones.base import normalise
from tagseg.networks.views import mean_over_mirror, resize
from tagseg.networks.views import views as image_views
from tagseg.priors.cam import class_activation_maps, scale_cam
from tagseg.runtime.device import prepare
from tagseg.runtime.prefetch import copy_to_cpu, delay_by_one, image_batches
from tagseg.runtime.progress import log_rate
from tagseg.runtime.restore import load_localization
from tagseg.runtime.stamps import stamps


@torch.inference_mode()
def run(
    tags: Tags,
    model: Annotated[Path, Field(description="Localization model")],
    output: Output,
    views: ViewSettings,
    machine: InferenceMachine,
    *,
    shard: ShardNumber = 0,
    shards: Shards = 1,
    threads: Threads = 1,
) -> None:
    """Compute the class activation maps (CAMs) of each image's own tags.

    The shard holds, for each image, `cams` (C, h, w) float16 in [0, 1] and `labels` (C,) uint8, the labels of its C
    tags in ascending order. Maps of several scales and of mirror images are summed before they are scaled: a view in
    which a class stands out has large values, and should count for more.
    """
    device = prepare(machine, threads)
    network, names = load_localization(model, views.stride)
    device.move(network)
    classes = [BACKGROUND, *names]
    records = in_shard(read_index(tags), shard, shards)
    labels = {record.id: labels_of(record.tags, classes)[1:] for record in records}

    def maps() -> Iterator[tuple[ImageRecord, Callable[[], dict[str, np.ndarray]]]]:
        for group, images in image_batches(records, machine.images_at_once, device.loaders, done=writer.done):
            sent = normalise(images.to(device.torch_device, non_blocking=True), network.statistics)
            features = [
                mean_over_mirror([network.feature_map(view) for view in of_scale])
                for of_scale in image_views(sent, views.scales, views.mirror)
            ]
            finest = max(((maps.shape[2], maps.shape[3]) for maps in features), key=math.prod)
            for i, record in enumerate(group):
                rows = network.cam_weights[[label - 1 for label in labels[record.id]]]
                maps = [class_activation_maps(values[i], rows)[None] for values in features]
                summed = torch.stack([resize(values, finest)[0] for values in maps]).sum(dim=0)
                yield record, copy_to_cpu({"cams": summed})

    with (
        write_shard(output, "cams", {"model": str(model)} | views.model_dump(), stamps(records), [model]) as writer,
        log_rate("images", len(left := writer.left(records))),
    ):
        for record, wait in tqdm(delay_by_one(maps()), total=len(left), unit="image", disable=None):
            raw = wait()["cams"]
            scaled = np.array([scale_cam(cam) for cam in raw]).reshape(raw.shape)
            own_labels = np.array(labels[record.id], dtype=np.uint8)
            writer.put(record.id, {"cams": scaled.astype(np.float16), "labels": own_labels})
