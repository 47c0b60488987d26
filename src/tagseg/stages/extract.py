"""Compute the mean activations of conv4 and conv5 (the paper's 3.1.1)."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from tqdm import tqdm

from tagseg.artifacts.shards import write_shard
from tagseg.config.arguments import Output, ShardNumber, Shards, Tags, Threads
from tagseg.config.networks import BackboneSettings, InferenceMachine, ViewSettings
from tagseg.datasets.index import ImageRecord, in_shard, read_index
from tagseg.runtime.device import prepare
from tagseg.runtime.frozen_trunk import FrozenTrunk, network_facts
from tagseg.runtime.prefetch import copy_to_cpu, delay_by_one
from tagseg.runtime.progress import log_rate
from tagseg.runtime.stamps import stamps


@torch.inference_mode()
def run(
    tags: Tags,
    output: Output,
    network: BackboneSettings,
    views: ViewSettings,
    machine: InferenceMachine,
    *,
    shard: ShardNumber = 0,
    shards: Shards = 1,
    threads: Threads = 1,
) -> None:
    """Compute the mean activations of conv4 and conv5 of each image.

    The shard holds, for each image, `conv4-S` and `conv5-S` (h, w) float16, where S is the number of the scale. Those
    of mirror images are flipped back and averaged with the image's own.
    """
    device = prepare(machine, threads)
    frozen = FrozenTrunk(network, views, device)
    records = in_shard(read_index(tags), shard, shards)

    def activations() -> Iterator[tuple[list[ImageRecord], Callable[[], dict[str, np.ndarray]]]]:
        for group, images in frozen.batches(records, machine.images_at_once, writer.done):
            maps = {
                f"{name}-{number}": values.half()
                for number, layers in enumerate(frozen.activations(images))
                for name, values in layers.items()
            }
            yield group, copy_to_cpu(maps)

    facts = network_facts(network) | views.model_dump()
    with (
        write_shard(output, "activations", facts, stamps(records)) as writer,
        log_rate("images", len(left := writer.left(records))),
        tqdm(total=len(left), unit="image", disable=None) as bar,
    ):
        for group, wait in delay_by_one(activations()):
            maps = wait()
            for i, record in enumerate(group):
                writer.put(record.id, {name: values[i] for name, values in maps.items()})
            bar.update(len(group))
