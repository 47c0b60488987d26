"""Class activation maps of each image's own tags (Eq. 1)."""

import math
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from tqdm import tqdm

from tagseg.artifacts.shards import write_shard
from tagseg.config.arguments import Output, ShardNumber, Shards, Tags, Threads
from tagseg.config.networks import InferenceMachine, ViewSettings
from tagseg.datasets.index import BACKGROUND, ImageRecord, in_shard, labels_of, read_index
from tagseg.errors import TagsegError
from tagseg.networks.backbones.base import normalise
from tagseg.networks.localization import LocalizationNetwork
from tagseg.networks.views import mean_over_mirror, resize
from tagseg.networks.views import views as image_views
from tagseg.priors.cam import class_activation_maps, scale_cam
from tagseg.runtime.device import Device, prepare
from tagseg.runtime.frozen_trunk import FrozenTrunk
from tagseg.runtime.prefetch import copy_to_cpu, delay_by_one, image_batches
from tagseg.runtime.progress import log_rate
from tagseg.runtime.restore import load_localization, localization_rows
from tagseg.runtime.stamps import stamps
from tagseg.runtime.trunk_maps import trunk_maps

Features = Iterator[tuple[ImageRecord, list[Tensor]]]  # of each image, the features f (K, h, w) at each scale


@torch.inference_mode()
def run(
    tags: Tags,
    model: Annotated[Path, Field(description="Localization model")],
    output: Output,
    views: ViewSettings,
    machine: InferenceMachine,
    *,
    features: Annotated[
        Path | None, Field(description="Shard of features that tagseg extract wrote, for a head on the frozen trunk")
    ] = None,
    trunk: Annotated[
        Path | None, Field(description="What tagseg prepare-trunk wrote, for a head on the frozen trunk")
    ] = None,
    shard: ShardNumber = 0,
    shards: Shards = 1,
    threads: Threads = 1,
) -> None:
    """Compute the class activation maps (CAMs) of each image's own tags.

    The shard holds, for each image, `cams` (C, h, w) float16 in [0, 1] and `labels` (C,) uint8, the labels of its C
    tags in ascending order. Maps of several scales and of mirror images are summed before they are scaled: a view in
    which a class stands out has large values, and should count for more. A fine-tuned network runs on the `views` of
    each image; a head on the frozen trunk reads `features` and `trunk`. Raises TagsegError if they are not given.
    """
    rows, names, mode = localization_rows(model)
    records = in_shard(read_index(tags), shard, shards)
    labels = {record.id: labels_of(record.tags, [BACKGROUND, *names])[1:] for record in records}
    if mode == "head" and (features is None or trunk is None):
        raise TagsegError(f"{model}: a head on the frozen trunk reads what was extracted: give --features and --trunk")

    def maps(done: Container[str]) -> Features:
        if features is not None and trunk is not None and mode == "head":
            return _of_frozen_trunk(features, trunk, records, done, machine, threads)
        network, _ = load_localization(model)
        return _of_network(network, records, done, views, machine, prepare(machine, threads))

    def cams(done: Container[str]) -> Iterator[tuple[ImageRecord, Callable[[], dict[str, np.ndarray]]]]:
        for record, scales in maps(done):
            own = rows[[label - 1 for label in labels[record.id]]].to(scales[0].device)
            yield record, copy_to_cpu({"cams": _summed([class_activation_maps(values, own) for values in scales])})

    inputs = [path for path in (model, features, trunk) if path is not None]
    with (
        write_shard(output, "cams", {"model": str(model)} | views.model_dump(), stamps(records), inputs) as writer,
        log_rate("images", len(left := writer.left(records))),
    ):
        for record, wait in tqdm(delay_by_one(cams(writer.done)), total=len(left), unit="image", disable=None):
            raw = wait()["cams"]
            scaled = np.array([scale_cam(cam) for cam in raw]).reshape(raw.shape)
            own_labels = np.array(labels[record.id], dtype=np.uint8)
            writer.put(record.id, {"cams": scaled.astype(np.float16), "labels": own_labels})


def _summed(maps: Sequence[Tensor]) -> Tensor:
    """The sum (C, H, W) of maps (C, h, w) of several scales, at the size of the finest."""
    finest = max(((values.shape[1], values.shape[2]) for values in maps), key=math.prod)
    return torch.stack([resize(values[None], finest)[0] for values in maps]).sum(dim=0)


def _of_frozen_trunk(
    features: Path,
    trunk: Path,
    records: Sequence[ImageRecord],
    done: Container[str],
    machine: InferenceMachine,
    threads: int,
) -> Features:
    """The classifier's input, made of the maps that `tagseg extract` kept."""
    frozen = FrozenTrunk(trunk, machine, threads)
    for record, scales in trunk_maps(features, trunk, records, done, machine, threads):
        tensors = [{name: torch.from_numpy(values) for name, values in maps.items()} for maps in scales]
        yield record, [frozen.classifier_input(maps) for maps in tensors]


def _of_network(
    network: LocalizationNetwork,
    records: Sequence[ImageRecord],
    done: Container[str],
    views: ViewSettings,
    machine: InferenceMachine,
    device: Device,
) -> Features:
    """The feature maps of a fine-tuned network, which runs on each image."""
    device.move(network)
    for group, images in image_batches(records, machine.images_at_once, device.loaders, done=done):
        sent = normalise(images.to(device.torch_device, non_blocking=True), network.statistics)
        features = [
            mean_over_mirror([network.feature_map(view) for view in of_scale])
            for of_scale in image_views(sent, views.scales, views.mirror)
        ]
        for i, record in enumerate(group):
            yield record, [values[i] for values in features]
