"""Pixels to learn from: confident ones of the training photographs, with the trunk's features (the second round)."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from tagseg.config import BackboneSettings, CrfSettings, InferenceMachine, SampleSettings, ViewSettings
from tagseg.datasets.index import ImageRecord, in_shard, read_index
from tagseg.loading import batches_of, fetched, one_behind
from tagseg.machine import prepare
from tagseg.networks.backbone import normalise
from tagseg.networks.backbones import load_backbone
from tagseg.networks.views import pixel_features
from tagseg.priors.foreground import resize_map
from tagseg.priors.refit import confident_pixels, pixel_grid
from tagseg.progress import rate
from tagseg.smoothing import smoothed
from tagseg.store import Shard, write_shard


@torch.inference_mode()
def run(
    tags: Path,
    maps: Path,
    output: Path,
    network: BackboneSettings,
    looks: ViewSettings,
    settings: SampleSettings,
    crf: CrfSettings,
    machine: InferenceMachine,
    *,
    seed: int,
    shard: int,
    shards: int,
    threads: int,
) -> None:
    """Write one shard of samples, of images of split train that have a tag.

    Each image's `features` (n, K) float16, `marginals` (n, L) float32 that sum to one, `labels` (L,) uint8. `maps` are
    the first round's; its marginals are those of a pairwise CRF at `crf_pixels`.
    """
    here = prepare(machine, threads)
    backbone = load_backbone(network.backbone, network.weights, network.preprocessing, stride=looks.stride or 32)
    trunk = here.put(backbone.trunk)
    index = read_index(tags)
    learned = [record for record in index if record.split == "train" and record.tags]
    records = [record for record in in_shard(index, shard, shards) if record.split == "train" and record.tags]
    count = max(2, min(settings.pixels, settings.most_pixels // max(1, len(learned))))
    smooth = crf.model_copy(update={"max_pixels": min(crf.max_pixels, settings.crf_pixels)})

    def features() -> Iterator[tuple[ImageRecord, Callable[[], dict[str, np.ndarray]]]]:
        for group, images in batches_of(records, machine.images_at_once, here.loaders):
            sent = normalise(images.to(here.place, non_blocking=True), backbone.statistics)
            grid = pixel_grid(group[0].height, group[0].width)
            found = pixel_features(trunk, sent, grid, scales=looks.scales, mirror=looks.mirror)
            for record, own in zip(group, found, strict=True):
                yield record, fetched({"features": own.half()})

    facts = settings.model_dump() | looks.model_dump() | network.model_dump()
    with (
        Shard(maps, "probabilities") as first,
        write_shard(output, "samples", facts) as writer,
        rate("images", len(records)),
    ):
        for record, wait in tqdm(one_behind(features()), total=len(records), unit="image", disable=None):
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
