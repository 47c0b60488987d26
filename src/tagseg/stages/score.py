"""Compute the scores of every class at every position, without tags."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.shards import write_shard
from tagseg.config.arguments import Output, ShardNumber, Shards, Tags, Threads
from tagseg.config.networks import InferenceMachine
from tagseg.datasets.index import ImageRecord, in_shard, read_index
from tagseg.runtime.device import prepare
from tagseg.runtime.engines import choose_engine
from tagseg.runtime.prefetch import copy_to_cpu, delay_by_one, image_batches
from tagseg.runtime.progress import log_rate
from tagseg.runtime.restore import load_segmentation
from tagseg.runtime.stamps import stamps


@torch.inference_mode()
def run(
    model: Annotated[Path, Field(description="Segmentation model")],
    tags: Tags,
    output: Output,
    machine: InferenceMachine,
    *,
    split: Annotated[str, Field(description="Split to score")] = "val",
    shard: ShardNumber = 0,
    shards: Shards = 1,
    threads: Threads = 1,
) -> None:
    """Compute the scores of every class at every position of each image, without tags.

    The shard holds, for each image, `maps` (N, h, w) float16, the scores before the softmax, and `labels` (N,) uint8,
    0..N-1. Images are resized to the size that the network was trained at, so that objects have sizes that it knows. Of
    `tags.csv` only ids, paths and the split are used. Scores of one shard are all of one engine: one that another
    engine had begun starts over.
    """
    device = prepare(machine, threads)
    network, classes, side = load_segmentation(model)
    records = [record for record in in_shard(read_index(tags), shard, shards) if record.split == split]
    engine = choose_engine(network, ["maps"], device, machine.engine, len(records), torch.uint8)
    facts = {"model": str(model), "split": split, "engine": engine.name}
    labels = np.arange(len(classes), dtype=np.uint8)

    def scores() -> Iterator[tuple[list[ImageRecord], Callable[[], dict[str, np.ndarray]]]]:
        for group, images in image_batches(records, machine.images_at_once, device.loaders, side, writer.done):
            yield group, copy_to_cpu({"maps": engine(images)["maps"].half()})

    with (
        write_shard(output, "scores", facts, stamps(records), [model]) as writer,
        log_rate("images", len(left := writer.left(records))),
        tqdm(total=len(left), unit="image", disable=None) as bar,
    ):
        for group, maps in delay_by_one(scores()):
            for record, own in zip(group, maps()["maps"], strict=True):
                writer.put(record.id, {"maps": own, "labels": labels})
            bar.update(len(group))
