"""Maps of the second round: the first's, averaged with what the regression says at every position."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from tagseg.bundle import load_bundle
from tagseg.config import BackboneSettings, InferenceMachine, ViewSettings
from tagseg.datasets.index import ImageRecord, in_shard, read_index
from tagseg.loading import batches_of, fetched, one_behind
from tagseg.machine import prepare
from tagseg.networks.backbone import normalise
from tagseg.networks.backbones import load_backbone
from tagseg.networks.views import pixel_features
from tagseg.priors.foreground import resize_map
from tagseg.priors.refit import pixel_grid, pixel_maps, second_round
from tagseg.progress import rate
from tagseg.store import Shard, write_shard


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
    backbone = load_backbone(network.backbone, network.weights, network.preprocessing, stride=looks.stride or 32)
    trunk = here.put(backbone.trunk)
    bundle = load_bundle(model, "pixel regression")
    rows, bias = bundle["weight"].to(here.place), bundle["bias"].to(here.place)
    records = in_shard(read_index(tags), shard, shards)
    with Shard(maps, "probabilities") as first, write_shard(output, "probabilities", {"weight": weight}) as writer:

        def again() -> Iterator[tuple[ImageRecord, Callable[[], dict[str, np.ndarray]]]]:
            for group, images in batches_of(records, machine.images_at_once, here.loaders):
                sent = normalise(images.to(here.place, non_blocking=True), backbone.statistics)
                grid = pixel_grid(group[0].height, group[0].width)
                found = pixel_features(trunk, sent, grid, scales=looks.scales, mirror=looks.mirror)
                for record, own in zip(group, found, strict=True):
                    labels = first.get(record.id, "labels").tolist()
                    yield record, fetched({"maps": pixel_maps(own, rows, bias, labels)})

        with rate("images", len(records)):
            for record, wait in tqdm(one_behind(again()), total=len(records), unit="image", disable=None):
                before = first.get(record.id, "maps").astype(np.float32)
                own = np.stack([resize_map(values, before.shape[1:]) for values in wait()["maps"]])
                arrays = {"maps": second_round(before, own, weight).astype(np.float16)}
                writer.put(record.id, arrays | {"labels": first.get(record.id, "labels")})
