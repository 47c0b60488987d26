"""Extract the mean activations of conv4 and conv5 (the paper's 3.1.1)."""

from pathlib import Path

import torch
from tqdm import tqdm

from tagseg.config import BackboneSettings
from tagseg.datasets.index import in_shard, read_index
from tagseg.loading import load_image
from tagseg.machine import prepare
from tagseg.networks.backbone import normalise
from tagseg.networks.backbones import load_backbone
from tagseg.priors.foreground import mean_activation
from tagseg.progress import rate
from tagseg.store import write_shard


@torch.inference_mode()
def run(
    tags: Path, output: Path, network: BackboneSettings, *, shard: int, shards: int, device: str, threads: int
) -> None:
    """Write one shard of activations: `conv4` (h4, w4) and `conv5` (h5, w5) float16 of each image at its own size."""
    place = prepare(device, threads)
    backbone = load_backbone(network.backbone, network.weights, network.preprocessing, stride=32)
    trunk = backbone.trunk.to(place)
    records = in_shard(read_index(tags), shard, shards)
    with write_shard(output, "activations", network.model_dump()) as writer, rate("images", len(records)):
        for record in tqdm(records, unit="image", disable=None):
            taps = trunk(normalise(load_image(record).to(place), backbone.statistics))
            maps = {name: mean_activation(getattr(taps, name)[0].cpu().numpy()) for name in ("conv4", "conv5")}
            writer.put(record.id, {name: values.astype("float16") for name, values in maps.items()})
