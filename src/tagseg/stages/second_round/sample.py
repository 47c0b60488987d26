"""Pixels to learn from: confident ones of the training photographs, with the trunk's features (the second round)."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.shards import Shard, write_shard
from tagseg.config.arguments import Output, Seed, ShardNumber, Shards, Tags, Threads
from tagseg.config.masks import PairwiseMaskSettings, SampleSettings
from tagseg.config.networks import BackboneSettings, InferenceMachine, ViewSettings
from tagseg.datasets.index import ImageRecord, in_shard, read_index
from tagseg.images.resize import resize_map
from tagseg.priors.second_round import confident_pixels
from tagseg.runtime.device import prepare
from tagseg.runtime.frozen_trunk import FrozenTrunk, network_facts
from tagseg.runtime.label_maps import smoothed
from tagseg.runtime.prefetch import fetched, one_behind
from tagseg.runtime.progress import rate
from tagseg.runtime.stamps import stamps

_FEWEST = 20  # pixels of a photograph: with fewer, one of several tags would show too few of each


@torch.inference_mode()
def run(
    tags: Tags,
    maps: Annotated[Path, Field(description="Shard of the first round's maps")],
    output: Output,
    network: BackboneSettings,
    views: ViewSettings,
    settings: SampleSettings,
    crf: PairwiseMaskSettings,
    machine: InferenceMachine,
    *,
    seed: Seed = 0,
    shard: ShardNumber = 0,
    shards: Shards = 1,
    threads: Threads = 1,
) -> None:
    """Confident pixels of the training images, with their features, for the second round.

    Write one shard of samples, of images of split train that have a tag; of very many, of some spread evenly.

    Each image's `features` (n, K) float16, `marginals` (n, L) float32 that sum to one, `labels` (L,) uint8. `maps` are
    the first round's; its marginals are those of a pairwise CRF at `crf_pixels`.
    """
    device = prepare(machine, threads)
    frozen = FrozenTrunk(network, views, device)
    index = read_index(tags)
    learned = learned_from(index, settings.most_pixels)
    records = [record for record in in_shard(index, shard, shards) if record.id in learned]
    count = max(2, min(settings.pixels, settings.most_pixels // max(1, len(learned))))
    smooth = crf.model_copy(update={"max_pixels": min(crf.max_pixels, settings.crf_pixels)})

    def features() -> Iterator[tuple[ImageRecord, Callable[[], dict[str, np.ndarray]]]]:
        for record, own in frozen.pixels(records, machine.images_at_once, writer.done):
            yield record, fetched({"features": own.half()})

    facts = settings.model_dump() | views.model_dump() | network_facts(network)
    facts |= {"seed": seed, "pixels_of_each": count, "crf": smooth.model_dump()}
    with (
        Shard(maps, "probabilities") as first,
        write_shard(output, "samples", facts, stamps(records), [maps]) as writer,
        rate("images", len(left := writer.left(records))),
    ):
        for record, wait in tqdm(one_behind(features()), total=len(left), unit="image", disable=None):
            values = wait()["features"]
            marginals = smoothed(first, None, record, "pairwise", smooth)
            marginals = np.stack([resize_map(own, values.shape[1:]) for own in marginals]).reshape(len(marginals), -1)
            marginals /= marginals.sum(axis=0)
            generator = np.random.default_rng([seed, zlib.crc32(record.id.encode())])
            taken = confident_pixels(marginals, count, settings.confidence, generator)
            pixels = {
                "features": values.reshape(len(values), -1).T[taken],
                "marginals": marginals.T[taken],
                "labels": first.get(record.id, "labels"),
            }
            writer.put(record.id, pixels)


def learned_from(index: list[ImageRecord], most_pixels: int) -> set[str]:
    """Ids of the training images with tags, or of as many, spread evenly, as may give 20 pixels each."""
    tagged = [record.id for record in index if record.split == "train" and record.tags]
    most = max(1, most_pixels // _FEWEST)
    return {tagged[i * len(tagged) // most] for i in range(most)} if len(tagged) > most else set(tagged)
