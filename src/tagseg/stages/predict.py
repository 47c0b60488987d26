"""Scores of every class at every position, without tags."""

from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from tagseg.datasets.index import in_shard, read_index
from tagseg.loading import load_image
from tagseg.machine import prepare
from tagseg.models import load_segmentation
from tagseg.progress import rate
from tagseg.store import write_shard


@torch.inference_mode()
def run(
    model: Path, tags: Path, output: Path, *, split: str, shard: int, shards: int, device: str, threads: int
) -> None:
    """Write one shard of scores: `maps` (N, h, w) float16 before the softmax, `labels` 0..N-1.

    Images are brought to the size that the network was trained at, so that objects have the sizes that it knows.

    Of `tags.csv` only ids, paths and the split are used: the network sees no tag.
    """
    place = prepare(device, threads)
    network, classes, side = load_segmentation(model)
    network.to(place)
    records = [record for record in in_shard(read_index(tags), shard, shards) if record.split == split]
    labels = np.arange(len(classes), dtype=np.uint8)
    with (
        write_shard(output, "scores", {"model": str(model), "split": split}) as writer,
        rate("images", len(records)),
    ):
        for record in tqdm(records, unit="image", disable=None):
            scores = network(load_image(record, side).to(place))[0].cpu().numpy()
            writer.put(record.id, {"maps": scores.astype(np.float16), "labels": labels})
