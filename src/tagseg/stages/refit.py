"""Fit the second round's regression on the samples of all training photographs."""

import logging
from pathlib import Path

import numpy as np
import torch

from tagseg.bundle import write_torch
from tagseg.config import RegressionSettings
from tagseg.datasets.index import ImageRecord, read_classes, read_index
from tagseg.errors import TagsegError
from tagseg.priors.refit import Samples, fit_pixels
from tagseg.store import ShardSet

log = logging.getLogger(__name__)


def run(
    tags: Path, classes: Path, samples: list[Path], output: Path, settings: RegressionSettings, *, threads: int
) -> None:
    """Write the regression: `weight` (N, K) and `bias` (N,). The order of the images is that of `tags.csv`."""
    torch.set_num_threads(threads)
    count = len(read_classes(classes))
    records = [record for record in read_index(tags, split="train") if record.tags]
    shards = ShardSet(samples, "samples")
    if not any(len(shards.get(record.id, "marginals")) for record in records):
        raise TagsegError(
            f"{tags}: no confident pixel in any photograph; lower refit.confidence, or set refit.priors: []"
        )
    gathered = _gathered(shards, records, count)
    weight, bias, loss = fit_pixels(gathered, decay=settings.decay, iterations=settings.iterations)
    log.info("regression on %d pixels of %d photographs: loss %.4f", len(gathered.features), len(records), loss)
    content = {"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)}
    write_torch(output, {"kind": "pixel regression", "settings": settings.model_dump(), **content})


def _gathered(shards: ShardSet, records: list[ImageRecord], count: int) -> Samples:
    features, soft, allowed = [], [], []
    for record in records:
        labels = shards.get(record.id, "labels")
        marginals = shards.get(record.id, "marginals")
        features.append(shards.get(record.id, "features").astype(np.float32))
        spread = np.zeros((len(marginals), count), dtype=np.float32)
        spread[:, labels] = marginals
        soft.append(spread)
        own = np.zeros((len(marginals), count), dtype=bool)
        own[:, labels] = True
        allowed.append(own)
    return Samples(np.concatenate(features), np.concatenate(soft), np.concatenate(allowed))
