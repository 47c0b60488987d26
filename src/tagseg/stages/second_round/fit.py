"""Fit the second round's regression on the samples of all training photographs."""

import logging

import numpy as np
import torch

from tagseg.artifacts.shard_sets import ShardSet
from tagseg.artifacts.shards import write_shard
from tagseg.config.arguments import Classes, Files, Output, Tags, Threads
from tagseg.config.masks import RegressionSettings
from tagseg.datasets.index import ImageRecord, read_classes, read_index
from tagseg.errors import TagsegError
from tagseg.priors.second_round import Samples, fit_pixels

log = logging.getLogger(__name__)


def run(
    tags: Tags,
    classes: Classes,
    samples: Files,
    output: Output,
    settings: RegressionSettings,
    *,
    threads: Threads = 1,
) -> None:
    """Fit the second round's regression on the samples of all shards.

    The file holds `weight` (N, K) and `bias` (N,), float32. Images are taken in the order of `tags.csv`. All samples
    are in memory at once; `most_pixels` bounds them, whatever the number of images. Raises TagsegError if no image has
    a sample.
    """
    torch.set_num_threads(threads)
    count = len(read_classes(classes))
    shards = ShardSet(samples, "samples")
    records = [record for record in read_index(tags, split="train") if record.id in shards]
    counts = [len(shards.get(record.id, "marginals")) for record in records]
    if not any(counts):
        raise TagsegError(
            f"{tags}: no confident pixel in any photograph; lower second_round.confidence, or set "
            "second_round.priors: []"
        )
    gathered = _gathered(shards, records, counts, count)
    weight, bias, loss = fit_pixels(gathered, decay=settings.decay, iterations=settings.iterations)
    log.info("regression on %d pixels of %d photographs: loss %.4f", len(gathered.features), len(records), loss)
    with write_shard(output, "pixel regression", settings.model_dump()) as writer:
        writer.put("regression", {"weight": weight, "bias": bias})


def _gathered(shards: ShardSet, records: list[ImageRecord], counts: list[int], classes: int) -> Samples:
    """The pixels of all images, `counts` of each, read straight into their arrays: they are never in memory twice."""
    total = sum(counts)
    width = shards.get(records[0].id, "features").shape[1]
    features = np.empty((total, width), dtype=np.float32)
    soft = np.zeros((total, classes), dtype=np.float32)
    allowed = np.zeros((total, classes), dtype=bool)
    start = 0
    for record, count in zip(records, counts, strict=True):
        rows, start = slice(start, start + count), start + count
        labels = shards.get(record.id, "labels")
        features[rows] = shards.get(record.id, "features")
        soft[rows, labels] = shards.get(record.id, "marginals")
        allowed[rows, labels] = True
    return Samples(features, soft, allowed)
