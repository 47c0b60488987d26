"""Sample pixels for the second round: confident ones of the training images, with the trunk's features."""

import zlib
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.shards import Shard, write_shard
from tagseg.config.arguments import Features, Output, Seed, ShardNumber, Shards, Tags, Threads, Trunk
from tagseg.config.masks import PairwiseMaskSettings, SampleSettings
from tagseg.config.networks import InferenceMachine
from tagseg.datasets.index import ImageRecord, in_shard, read_index
from tagseg.images.resize import resize_map
from tagseg.priors.second_round import confident_pixels, pixel_features, pixel_grid
from tagseg.runtime.label_maps import smoothed
from tagseg.runtime.progress import log_rate
from tagseg.runtime.stamps import stamps
from tagseg.runtime.trunk_maps import regression_layers, trunk_maps

_FEWEST = 20  # pixels of an image: fewer are too few of each class if it has several tags


def run(
    tags: Tags,
    maps: Annotated[Path, Field(description="Shard of the first round's maps")],
    features: Features,
    trunk: Trunk,
    output: Output,
    settings: SampleSettings,
    crf: PairwiseMaskSettings,
    machine: InferenceMachine,
    *,
    seed: Seed = 0,
    shard: ShardNumber = 0,
    shards: Shards = 1,
    threads: Threads = 1,
) -> None:
    """Sample confident pixels of the training images, with their features, for the second round.

    Samples are taken of images of split train that have a tag, or, if there are too many, of some spread evenly. The
    shard holds, for each, `features` (n, K) float16, `marginals` (n, L) float32 that sum to one over the labels, and
    `labels` (L,) uint8. `maps` are the first round's, and the marginals those of a pairwise CRF on at most `crf_pixels`
    pixels.
    """
    index = read_index(tags)
    learned = learned_from(index, settings.most_pixels)
    records = [record for record in in_shard(index, shard, shards) if record.id in learned]
    count = max(2, min(settings.pixels, settings.most_pixels // max(1, len(learned))))
    smooth = crf.model_copy(update={"max_pixels": min(crf.max_pixels, settings.crf_pixels)})
    facts = settings.model_dump() | {"seed": seed, "pixels_of_each": count, "crf": smooth.model_dump()}
    with (
        Shard(maps, "probabilities") as first,
        write_shard(output, "samples", facts, stamps(records), [maps, features, trunk]) as writer,
        log_rate("images", len(left := writer.left(records))),
    ):
        found = trunk_maps(features, trunk, records, writer.done, machine, threads)
        for record, own in tqdm(found, total=len(left), unit="image", disable=None):
            grid = pixel_grid(record.height, record.width)
            marginals = smoothed(first, None, record, "pairwise", smooth)
            marginals = np.stack([resize_map(values, grid) for values in marginals]).reshape(len(marginals), -1)
            marginals /= marginals.sum(axis=0)
            generator = np.random.default_rng([seed, zlib.crc32(record.id.encode())])
            taken = confident_pixels(marginals, count, settings.confidence, generator)
            pixels = {
                "features": pixel_features(regression_layers(own), grid, taken).astype(np.float16),
                "marginals": marginals.T[taken],
                "labels": first.get(record.id, "labels"),
            }
            writer.put(record.id, pixels, deflate=False)


def learned_from(index: list[ImageRecord], most_pixels: int) -> set[str]:
    """Ids of the training images with tags, or of so many of them, spread evenly, that each may give 20 pixels."""
    tagged = [record.id for record in index if record.split == "train" and record.tags]
    most = max(1, most_pixels // _FEWEST)
    return {tagged[i * len(tagged) // most] for i in range(most)} if len(tagged) > most else set(tagged)
