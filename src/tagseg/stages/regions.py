"""Compute crisp regions, over which the CRF's higher-order terms are defined (the paper's 3.1.3, [32])."""

import numpy as np
from tqdm import tqdm

from tagseg.artifacts.shards import write_shard
from tagseg.config.arguments import Output, ShardNumber, Shards, Tags
from tagseg.config.masks import RegionSettings
from tagseg.datasets.index import in_shard, read_index
from tagseg.errors import TagsegError
from tagseg.images.files import read_image
from tagseg.runtime.crisp_regions import find_boundaries
from tagseg.runtime.progress import log_rate
from tagseg.runtime.stamps import stamps


def run(
    tags: Tags,
    output: Output,
    settings: RegionSettings,
    *,
    shard: ShardNumber = 0,
    shards: Shards = 1,
) -> None:
    """Compute the crisp regions of each image.

    The shard holds, for each image, `regions` (H, W) uint16 numbered 0..R-1. Raises TagsegError naming an image of more
    than 65,536 regions.
    """
    records = in_shard(read_index(tags), shard, shards)
    with write_shard(output, "regions", settings.model_dump(), stamps(records)) as writer:
        left = writer.left(records)
        with log_rate("images", len(left)):
            for record in tqdm(left, unit="image", disable=None):
                labels = find_boundaries(read_image(record.path), settings).regions(settings.threshold)
                if labels.max() > np.iinfo(np.uint16).max:
                    raise TagsegError(f"{record.path}: {labels.max() + 1} regions; raise the regions' threshold")
                writer.put(record.id, {"regions": labels.astype(np.uint16)})
