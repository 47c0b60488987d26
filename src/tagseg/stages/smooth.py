"""Label maps from probability maps or network scores, with a dense CRF or without (the paper's 3.1.3)."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from tagseg.config import Crf, CrfSettings
from tagseg.crf.dense import CrfParameters, dense_crf, log_unary, softmax_unary
from tagseg.datasets.images import read_image
from tagseg.datasets.index import in_shard, read_index
from tagseg.priors.foreground import resize_map
from tagseg.progress import rate
from tagseg.store import Shard, write_shard


def run(
    crf: Crf,
    tags: Path,
    maps: Path,
    output: Path,
    settings: CrfSettings,
    *,
    split: str | None,
    shard: int,
    shards: int,
) -> None:
    """Write one shard of label maps: `mask` (H, W) uint8 at the image's size.

    `maps` holds probabilities of the image's labels (unary of Eq. 7) or a network's scores of all classes (unary
    -log softmax); which of the two, the file says itself.
    """
    records = [r for r in in_shard(read_index(tags), shard, shards) if split is None or r.split == split]
    parameters = CrfParameters(**settings.model_dump(exclude={"unary_gain"}))
    facts = {"crf": crf, **(settings.model_dump() if crf != "none" else {})}
    with (
        Shard(maps, ("probabilities", "scores")) as source,
        write_shard(output, "labels", facts) as writer,
        rate("images", len(records)),
    ):
        for record in tqdm(records, unit="image", disable=None):
            size = record.height, record.width
            values = np.stack([resize_map(values, size) for values in source.get(record.id, "maps")])
            if crf == "pairwise":
                unary = (
                    log_unary(values, settings.unary_gain)
                    if source.kind == "scores"
                    else softmax_unary(values, settings.unary_gain)
                )
                values = dense_crf(read_image(record.path), unary, parameters)
            labels = source.get(record.id, "labels")
            writer.put(record.id, {"mask": labels[values.argmax(axis=0)].astype(np.uint8)})
