"""Pixels to learn from: confident ones of the training photographs, with the trunk's features (the second round)."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from tagseg.config import BackboneSettings, CrfSettings, InferenceMachine, SampleSettings, ViewSettings
from tagseg.datasets.index import ImageRecord, in_shard, read_index
from tagseg.features import FrozenTrunk
from tagseg.loading import fetched, one_behind
from tagseg.machine import prepare
from tagseg.priors.foreground import resize_map
from tagseg.priors.refit import confident_pixels
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
    frozen = FrozenTrunk(network, looks, here)
    index = read_index(tags)
    learned = {record.id for record in index if record.split == "train" and record.tags}
    records = [record for record in in_shard(index, shard, shards) if record.id in learned]
    count = max(2, min(settings.pixels, settings.most_pixels // max(1, len(learned))))
    smooth = crf.model_copy(update={"max_pixels": min(crf.max_pixels, settings.crf_pixels)})

    def features() -> Iterator[tuple[ImageRecord, Callable[[], dict[str, np.ndarray]]]]:
        for record, own in frozen.pixels(records, machine.images_at_once):
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
