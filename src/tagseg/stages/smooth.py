"""Label maps from probability maps or network scores, with a dense CRF or without (the paper's 3.1.3)."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tagseg.config import MASK_CRF_KEYS, PREDICTION_CRF_KEYS, Crf, CrfSettings
from tagseg.crf import CrfParameters, dense_crf, log_unary, softmax_unary
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
    parameters = CrfParameters(**settings.model_dump(exclude={"mask_gain", "score_gain"}))
    records = [r for r in in_shard(read_index(tags), shard, shards) if split is None or r.split == split]
    with ExitStack() as stack:
        source = stack.enter_context(Shard(maps, ("probabilities", "scores")))
        writer = stack.enter_context(write_shard(output, "labels", _facts(crf, settings, source.kind)))
        stack.enter_context(rate("images", len(records)))
        for record in tqdm(records, unit="image", disable=None):
            size = record.height, record.width
            values = np.stack([resize_map(values, size) for values in source.get(record.id, "maps")])
            if crf == "pairwise":
                unary_of, gain = _UNARIES[source.kind]
                unary = unary_of(values, getattr(settings, gain))
                values = dense_crf(read_image(record.path), unary, parameters=parameters)
            labels = source.get(record.id, "labels")
            writer.put(record.id, {"mask": labels[values.argmax(axis=0)].astype(np.uint8)})


def _facts(crf: Crf, settings: CrfSettings, kind: str) -> dict[str, Any]:
    """What the file says of how it was made: the settings that counted."""
    if crf == "none":
        return {"crf": crf}
    keys = MASK_CRF_KEYS if kind == "probabilities" else PREDICTION_CRF_KEYS
    return {"crf": crf, **settings.model_dump(include=set(keys))}


# How a map becomes energies, and which setting sharpens or softens it.
_UNARIES: dict[str, tuple[Callable[[np.ndarray, float], np.ndarray], str]] = {
    "probabilities": (softmax_unary, "mask_gain"),
    "scores": (log_unary, "score_gain"),
}
