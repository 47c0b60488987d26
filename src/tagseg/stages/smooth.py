"""Compute label maps from probability maps or network scores, with a dense CRF or without (the paper's 3.1.3)."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.shards import Shard, write_shard
from tagseg.config import Crf
from tagseg.config.arguments import OneSplit, Output, ShardNumber, Shards, Tags
from tagseg.config.masks import CrfSettings
from tagseg.datasets.index import in_shard, read_index
from tagseg.errors import TagsegError
from tagseg.runtime.label_maps import KINDS, facts, kind_of, label_map
from tagseg.runtime.progress import log_rate
from tagseg.runtime.stamps import stamps


def run(
    crf: Annotated[
        Crf, Field(description="none: the largest value wins; pairwise: after a dense CRF; higher_order: with regions")
    ],
    tags: Tags,
    maps: Annotated[Path, Field(description="Shard of probability maps or of network scores")],
    output: Output,
    settings: CrfSettings,
    *,
    regions: Annotated[Path | None, Field(description="Shard of regions, for higher_order")] = None,
    split: OneSplit = None,
    shard: ShardNumber = 0,
    shards: Shards = 1,
) -> None:
    """Compute label maps from probability maps or network scores, with a dense CRF or without.

    The shard holds, for each image, `labels` (H, W) uint8 at the image's size. `higher_order` reads `regions` beside
    `maps`, a shard of the same images. Raises TagsegError if it is not given.
    """
    if crf == "higher_order" and regions is None:
        raise TagsegError("--crf higher_order needs --regions: give the shard that tagseg regions wrote")
    records = [r for r in in_shard(read_index(tags), shard, shards) if split is None or r.split == split]
    inputs = [maps, regions] if crf == "higher_order" and regions else [maps]
    with ExitStack() as stack:
        source = stack.enter_context(Shard(maps, KINDS))
        region_shard = stack.enter_context(Shard(regions, "regions")) if crf == "higher_order" and regions else None
        parameters = facts(crf, settings, kind_of(source))
        writer = stack.enter_context(write_shard(output, "labels", parameters, stamps(records), inputs))
        left = writer.left(records)
        stack.enter_context(log_rate("images", len(left)))
        for record in tqdm(left, unit="image", disable=None):
            writer.put(record.id, {"labels": label_map(source, region_shard, record, crf, settings)})
