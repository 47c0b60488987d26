"""Class activation maps of each image's own tags (Eq. 1)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from tagseg.config import InferenceMachine
from tagseg.datasets.index import BACKGROUND, ImageRecord, in_shard, labels_of, read_index
from tagseg.loading import batches_of, fetched, one_behind
from tagseg.machine import prepare
from tagseg.models import load_localization
from tagseg.priors.cam import class_activation_maps, scale_cam
from tagseg.progress import rate
from tagseg.store import write_shard


@torch.inference_mode()
def run(
    tags: Path, model: Path, output: Path, machine: InferenceMachine, *, shard: int, shards: int, threads: int
) -> None:
    """Write one shard of CAMs: `cams` (C, h, w) float16 in [0, 1], `labels` of the image's C tags, ascending."""
    here = prepare(machine, threads)
    network, names = load_localization(model)
    network.to(here.place)
    classes = [BACKGROUND, *names]
    records = in_shard(read_index(tags), shard, shards)
    labels = {record.id: labels_of(record.tags, classes)[1:] for record in records}

    def maps() -> Iterator[tuple[ImageRecord, Callable[[], dict[str, np.ndarray]]]]:
        for group, images in batches_of(records, machine.images_at_once, here.loaders):
            features = network.feature_map(images.to(here.place, non_blocking=True))
            for record, own in zip(group, features, strict=True):
                rows = network.linear.weight[[label - 1 for label in labels[record.id]]]
                yield record, fetched({"cams": class_activation_maps(own, rows)})

    with write_shard(output, "cams", {"model": str(model)}) as writer, rate("images", len(records)):
        for record, cams in tqdm(one_behind(maps()), total=len(records), unit="image", disable=None):
            scaled = np.array([scale_cam(cam) for cam in cams()["cams"]]).reshape(cams()["cams"].shape)
            own_labels = np.array(labels[record.id], dtype=np.uint8)
            writer.put(record.id, {"cams": scaled.astype(np.float16), "labels": own_labels})
