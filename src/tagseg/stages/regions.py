"""Crisp regions of the images: the areas that the CRF's higher-order terms hold together (the paper's 3.1.3, [32])."""

from dataclasses import replace

import numpy as np
from tqdm import tqdm

from tagseg.artifacts.shards import write_shard
from tagseg.config.arguments import Output, ShardNumber, Shards, Tags
from tagseg.config.masks import RegionSettings
from tagseg.datasets.index import in_shard, read_index
from tagseg.errors import TagsegError
from tagseg.images.files import read_image
from tagseg.regions import MODES, crisp_boundaries
from tagseg.runtime.progress import rate
from tagseg.runtime.stamps import stamps


def run(
    tags: Tags,
    output: Output,
    settings: RegionSettings,
    *,
    shard: ShardNumber = 0,
    shards: Shards = 1,
) -> None:
    """Crisp regions of each image.

    Write one shard: `regions` (H, W) uint16, 0..R-1.

    Raises TagsegError naming an image that falls into more than 65,536 regions.
    """
    records = in_shard(read_index(tags), shard, shards)
    parameters = replace(MODES[settings.mode], longest_side=settings.longest_side)
    with write_shard(output, "regions", settings.model_dump(), stamps(records)) as writer:
        left = writer.left(records)
        with rate("images", len(left)):
            for record in tqdm(left, unit="image", disable=None):
                crisp = crisp_boundaries(read_image(record.path), seed=settings.seed, parameters=parameters)
                labels = crisp.regions(settings.threshold)
                if labels.max() > np.iinfo(np.uint16).max:
                    raise TagsegError(f"{record.path}: {labels.max() + 1} regions; raise the regions' threshold")
                writer.put(record.id, {"regions": labels.astype(np.uint16)})
