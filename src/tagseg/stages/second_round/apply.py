"""Compute the maps of the second round: the first round's, averaged with the regression's at every position."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.bundle import load_bundle
from tagseg.artifacts.shards import Shard, write_shard
from tagseg.config.arguments import Output, ShardNumber, Shards, Tags, Threads
from tagseg.config.masks import WeightSettings
from tagseg.config.networks import BackboneSettings, InferenceMachine, ViewSettings
from tagseg.datasets.index import ImageRecord, in_shard, read_index
from tagseg.images.resize import resize_map
from tagseg.priors.second_round import pixel_maps, second_round
from tagseg.runtime.device import prepare
from tagseg.runtime.frozen_trunk import FrozenTrunk, network_facts
from tagseg.runtime.prefetch import copy_to_cpu, delay_by_one
from tagseg.runtime.progress import log_rate
from tagseg.runtime.stamps import stamps


@torch.inference_mode()
def run(
    tags: Tags,
    maps: Annotated[Path, Field(description="Shard of the first round's maps")],
    model: Annotated[Path, Field(description="What tagseg second-round fit wrote")],
    output: Output,
    network: BackboneSettings,
    views: ViewSettings,
    settings: WeightSettings,
    machine: InferenceMachine,
    *,
    shard: ShardNumber = 0,
    shards: Shards = 1,
    threads: Threads = 1,
) -> None:
    """Compute the maps of the second round: the first round's, averaged with what the regression predicts.

    The shard holds the same images, labels and sizes as `maps`, the first round's.
    """
    device = prepare(machine, threads)
    frozen = FrozenTrunk(network, views, device)
    bundle = load_bundle(model, "pixel regression")
    rows, bias = bundle["weight"].to(device.torch_device), bundle["bias"].to(device.torch_device)
    records = in_shard(read_index(tags), shard, shards)
    facts = settings.model_dump() | network_facts(network) | views.model_dump()
    with (
        Shard(maps, "probabilities") as first,
        write_shard(output, "probabilities", facts, stamps(records), [maps, model]) as writer,
    ):

        def predicted() -> Iterator[tuple[ImageRecord, Callable[[], dict[str, np.ndarray]]]]:
            for record, own in frozen.pixels(records, machine.images_at_once, writer.done):
                labels = first.get(record.id, "labels").tolist()
                yield record, copy_to_cpu({"maps": pixel_maps(own, rows, bias, labels)})

        left = writer.left(records)
        with log_rate("images", len(left)):
            for record, wait in tqdm(delay_by_one(predicted()), total=len(left), unit="image", disable=None):
                before = first.get(record.id, "maps").astype(np.float32)
                own = np.stack([resize_map(values, before.shape[1:]) for values in wait()["maps"]])
                arrays = {"maps": second_round(before, own, settings.weight).astype(np.float16)}
                writer.put(record.id, arrays | {"labels": first.get(record.id, "labels")})
