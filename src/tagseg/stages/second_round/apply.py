"""Compute the maps of the second round: the first round's, averaged with the regression's at every position."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.shards import Shard, write_shard
from tagseg.config.arguments import Features, Output, ShardNumber, Shards, Tags, Threads, Trunk
from tagseg.config.masks import WeightSettings
from tagseg.config.networks import InferenceMachine
from tagseg.datasets.index import in_shard, read_index
from tagseg.images.resize import resize_map
from tagseg.priors.second_round import pixel_grid, pixel_maps, second_round
from tagseg.runtime.progress import log_rate
from tagseg.runtime.stamps import stamps
from tagseg.runtime.trunk_maps import regression_layers, trunk_maps


def run(
    tags: Tags,
    maps: Annotated[Path, Field(description="Shard of the first round's maps")],
    model: Annotated[Path, Field(description="What tagseg second-round fit wrote")],
    features: Features,
    trunk: Trunk,
    output: Output,
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
    with Shard(model, "pixel regression") as regression:
        weight, bias = (regression.get("regression", name) for name in ("weight", "bias"))
    records = in_shard(read_index(tags), shard, shards)
    inputs = [maps, model, features, trunk]
    with (
        Shard(maps, "probabilities") as first,
        write_shard(output, "probabilities", settings.model_dump(), stamps(records), inputs) as writer,
        log_rate("images", len(left := writer.left(records))),
    ):
        found = trunk_maps(features, trunk, records, writer.done, machine, threads)
        for record, scales in tqdm(found, total=len(left), unit="image", disable=None):
            before, labels = first.get(record.id, "maps").astype(np.float32), first.get(record.id, "labels")
            grid = pixel_grid(record.height, record.width)
            own = pixel_maps(regression_layers(scales), grid, weight, bias, labels.tolist())
            resized = np.stack([resize_map(values, before.shape[1:]) for values in own])
            averaged = second_round(before, resized, settings.weight).astype(np.float16)
            writer.put(record.id, {"maps": averaged, "labels": labels})
