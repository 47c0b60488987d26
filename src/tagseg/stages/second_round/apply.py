"""Maps of the second round: the first's, averaged with what the regression says at every position."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from tagseg.artifacts.bundle import load_bundle
from tagseg.artifacts.shards import Shard, write_shard
from tagseg.config.networks import BackboneSettings, InferenceMachine, ViewSettings
from tagseg.datasets.index import ImageRecord, in_shard, read_index
from tagseg.images.resize import resize_map
from tagseg.priors.second_round import pixel_maps, second_round
from tagseg.runtime.device import prepare
from tagseg.runtime.frozen_trunk import FrozenTrunk, network_facts
from tagseg.runtime.prefetch import fetched, one_behind
from tagseg.runtime.progress import rate
from tagseg.runtime.stamps import stamps


@torch.inference_mode()
def run(
    tags: Path,
    maps: Path,
    model: Path,
    output: Path,
    network: BackboneSettings,
    looks: ViewSettings,
    machine: InferenceMachine,
    *,
    weight: float,
    shard: int,
    shards: int,
    threads: int,
) -> None:
    """Write one shard of maps, of the same images, labels and sizes as `maps`, the first round's."""
    here = prepare(machine, threads)
    frozen = FrozenTrunk(network, looks, here)
    bundle = load_bundle(model, "pixel regression")
    rows, bias = bundle["weight"].to(here.place), bundle["bias"].to(here.place)
    records = in_shard(read_index(tags), shard, shards)
    facts = {"weight": weight} | network_facts(network) | looks.model_dump()
    with (
        Shard(maps, "probabilities") as first,
        write_shard(output, "probabilities", facts, stamps(records), [maps, model]) as writer,
    ):

        def again() -> Iterator[tuple[ImageRecord, Callable[[], dict[str, np.ndarray]]]]:
            for record, own in frozen.pixels(records, machine.images_at_once, writer.done):
                labels = first.get(record.id, "labels").tolist()
                yield record, fetched({"maps": pixel_maps(own, rows, bias, labels)})

        left = writer.left(records)
        with rate("images", len(left)):
            for record, wait in tqdm(one_behind(again()), total=len(left), unit="image", disable=None):
                before = first.get(record.id, "maps").astype(np.float32)
                own = np.stack([resize_map(values, before.shape[1:]) for values in wait()["maps"]])
                arrays = {"maps": second_round(before, own, weight).astype(np.float16)}
                writer.put(record.id, arrays | {"labels": first.get(record.id, "labels")})
