"""Run the frozen trunk on each photograph once: mean activations (the paper's 3.1.1), and what later stages need."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.shards import digest_of, write_shard
from tagseg.config.arguments import WRITTEN, Output, ShardNumber, Shards, Tags, Threads, Trunk
from tagseg.config.networks import InferenceMachine
from tagseg.datasets.index import in_shard, read_index
from tagseg.runtime.frozen_trunk import FrozenTrunk
from tagseg.runtime.prefetch import delay_by_one
from tagseg.runtime.progress import log_rate
from tagseg.runtime.stamps import stamps

_MEAN = "mean-"


@torch.inference_mode()
def run(
    tags: Tags,
    trunk: Trunk,
    output: Output,
    machine: InferenceMachine,
    *,
    features: Annotated[
        Path | None, WRITTEN, Field(description="Shard of what later stages need of the trunk; none if no stage does")
    ] = None,
    shard: ShardNumber = 0,
    shards: Shards = 1,
    threads: Threads = 1,
) -> None:
    """Run the frozen trunk on each image: mean activations of conv4 and conv5, and its maps for later stages.

    `output` holds, for each image, the mean activations `conv4-S` and `conv5-S` (h, w) float16, where S is the number
    of the scale. `features` holds the maps `conv4-S` and `conv5-S` (V, C, h, w) float16, and `pooled` (V, K) float32,
    the average of the classifier's input over all positions of an image and its mirror image; `pooled` alone if
    `tagseg prepare-trunk` found that the maps would not fit on the disk. Maps of mirror images are flipped back and
    averaged with the image's own (V = 1), but for a conv5 with layers behind it, which is kept of both (V = 2).
    """
    frozen = FrozenTrunk(trunk, machine, threads)
    records = in_shard(read_index(tags), shard, shards)
    facts: dict[str, Any] = {"engine": frozen.engine_name, "trunk": digest_of([trunk])}
    facts |= {"views": frozen.facts.views.model_dump()}
    stamped = stamps(records)
    stored = frozen.facts.stored
    with ExitStack() as stack:
        activations = stack.enter_context(write_shard(output, "activations", facts, stamped, [trunk]))
        writers = [activations]
        if features is not None:
            kept = facts | {"stored": stored}
            writers.append(stack.enter_context(write_shard(features, "features", kept, stamped, [trunk])))
        done = frozenset.intersection(*(writer.done for writer in writers))
        left = sum(record.id not in done for record in records)
        stack.enter_context(log_rate("images", left))
        bar = stack.enter_context(tqdm(total=left, unit="image", disable=None))
        for group, wait in delay_by_one(frozen.passes(records, done)):
            arrays = wait()
            for i, record in enumerate(group):
                own = {name: values[i] for name, values in arrays.items()}
                means = {name: own.pop(name) for name in list(own) if name.startswith(_MEAN)}
                activations.put(record.id, {name.removeprefix(_MEAN): values for name, values in means.items()})
                for writer in writers[1:]:
                    writer.put(record.id, own if stored else {"pooled": own["pooled"]}, deflate=False)
            bar.update(len(group))
