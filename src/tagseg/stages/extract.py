"""Extract the mean activations of conv4 and conv5 (the paper's 3.1.1)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from tagseg.config import BackboneSettings, InferenceMachine
from tagseg.datasets.index import ImageRecord, in_shard, read_index
from tagseg.loading import batches_of, fetched, one_behind
from tagseg.machine import prepare
from tagseg.networks.backbone import normalise
from tagseg.networks.backbones import load_backbone
from tagseg.priors.foreground import mean_activation
from tagseg.progress import rate
from tagseg.store import write_shard


@torch.inference_mode()
def run(
    tags: Path,
    output: Path,
    network: BackboneSettings,
    machine: InferenceMachine,
    *,
    shard: int,
    shards: int,
    threads: int,
) -> None:
    """Write one shard of activations: `conv4` (h4, w4) and `conv5` (h5, w5) float16 of each image at its own size."""
    here = prepare(machine, threads)
    backbone = load_backbone(network.backbone, network.weights, network.preprocessing, stride=32)
    trunk = backbone.trunk.to(here.place)
    records = in_shard(read_index(tags), shard, shards)

    def activations() -> Iterator[tuple[list[ImageRecord], Callable[[], dict[str, np.ndarray]]]]:
        for group, images in batches_of(records, machine.images_at_once, here.loaders):
            taps = trunk(normalise(images.to(here.place, non_blocking=True), backbone.statistics))
            yield group, fetched({name: mean_activation(getattr(taps, name)).half() for name in ("conv4", "conv5")})

    with (
        write_shard(output, "activations", network.model_dump()) as writer,
        rate("images", len(records)),
        tqdm(total=len(records), unit="image", disable=None) as bar,
    ):
        for group, maps in one_behind(activations()):
            for i, record in enumerate(group):
                writer.put(record.id, {name: values[i] for name, values in maps().items()})
            bar.update(len(group))
