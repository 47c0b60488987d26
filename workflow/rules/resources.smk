"""What a job asks for: a retry (`attempt` 2, 3, ...) for that many times as much. No change of it redoes anything.

Minutes are a limit and no forecast: a few times what a photograph took on the slowest machine that was measured, so
that a scheduler ends what hangs and nothing else. Stages read and write one image at a time, hence memory that does not
depend on how many there are.
"""

import math
from functools import cache

# Images of a shard before there is an index to count them in: as the shipped configurations cut their data.
SHARD_IMAGES = 250
# Of rules that run a network: MB; seconds for all looks at a photograph; seconds for a step of training.
NETWORK_MB = 4000 + 300 * CONFIG.images_at_once
LOOK = 2 if CONFIG.device == "cuda" else 20
STEP = 0.5 if CONFIG.device == "cuda" else 10


@cache
def rows(path, changed):
    """Rows of a table; `changed` is when it was written: a plan asks for thousands of jobs."""
    return path.read_bytes().count(b"\n") - 1


def images_of(wildcards):
    """Images of the data set, as its index has them."""
    index = Path(f"results/{wildcards.dataset}/tags.csv")
    if not index.exists():
        return SHARD_IMAGES * run_of(wildcards).shards
    return rows(index, index.stat().st_mtime_ns)


def memory(mb):
    """Resource function: MB, a number or a function of the wildcards."""

    def wanted(wildcards, attempt):
        return attempt * (mb(wildcards) if callable(mb) else mb)

    return wanted


def minutes(least, shard=0, dataset=0):
    """Resource function: minutes, with the seconds that each image of the shard, or of the whole data set, adds."""

    def wanted(wildcards, attempt):
        seconds = 0
        if shard or dataset:
            images = images_of(wildcards)
            seconds = dataset * images + shard * math.ceil(images / run_of(wildcards).shards)
        return attempt * math.ceil(least + seconds / 60)

    return wanted


def training_minutes(group):
    """Resource function: minutes of a training. One that is cut off goes on from its checkpoint in the retry."""

    def wanted(wildcards, attempt):
        return attempt * math.ceil(60 + STEP * getattr(run_of(wildcards), group).iterations / 60)

    return wanted
