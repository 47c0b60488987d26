"""Class activation maps of each image's own tags (Eq. 1)."""

from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from tagseg.datasets.index import BACKGROUND, in_shard, labels_of, read_index
from tagseg.loading import load_image
from tagseg.machine import prepare
from tagseg.models import load_localization
from tagseg.priors.cam import class_activation_maps, scale_cam
from tagseg.progress import rate
from tagseg.store import write_shard


@torch.inference_mode()
def run(tags: Path, model: Path, output: Path, *, shard: int, shards: int, device: str, threads: int) -> None:
    """Write one shard of CAMs: `cams` (C, h, w) float16 in [0, 1], `labels` of the image's C tags, ascending."""
    place = prepare(device, threads)
    network, names = load_localization(model)
    network.to(place)
    weights = network.linear.weight.cpu().numpy()
    classes = [BACKGROUND, *names]
    records = in_shard(read_index(tags), shard, shards)
    with write_shard(output, "cams", {"model": str(model)}) as writer, rate("images", len(records)):
        for record in tqdm(records, unit="image", disable=None):
            labels = labels_of(record.tags, classes)[1:]
            features = network.feature_map(load_image(record).to(place))[0].cpu().numpy()
            maps = class_activation_maps(features, weights[[label - 1 for label in labels]])
            scaled = np.stack([scale_cam(cam) for cam in maps]) if labels else maps
            writer.put(record.id, {"cams": scaled.astype(np.float16), "labels": np.array(labels, dtype=np.uint8)})
