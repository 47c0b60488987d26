"""The resources that a job asks for; the n-th attempt asks for n times as much. Changing them redoes nothing.

Minutes are a limit, not a forecast: a few times what a photograph took on the slowest machine measured, so that a
scheduler ends only jobs that hang. Stages read and write one image at a time, so memory does not depend on how many.
"""

import math
from functools import cache

# Images per shard, as in the shipped configurations, until there is an index to count them in.
SHARD_IMAGES = 250
# For rules that run a network: MB of memory; seconds for all views of a photograph; seconds for a training step.
NETWORK_MB = 4000 + 300 * CONFIG.images_at_once
VIEWS = 2 if CONFIG.device == "cuda" else 20
STEP = 0.5 if CONFIG.device == "cuda" else 10


@cache
def rows(path, changed):
    """The number of rows of a table, cached until it changes: a plan asks for thousands of jobs."""
    return path.read_bytes().count(b"\n") - 1


def images_of(wildcards):
    """The number of images in the data set by its index."""
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
    """Resource function: at least `least` minutes, plus seconds per image of the shard, or of the whole data set."""

    def wanted(wildcards, attempt):
        seconds = 0
        if shard or dataset:
            images = images_of(wildcards)
            seconds = dataset * images + shard * math.ceil(images / run_of(wildcards).shards)
        return attempt * math.ceil(least + seconds / 60)

    return wanted


def training_minutes(group):
    """Resource function: minutes of a training. If it is cut off, the retry resumes from its checkpoint."""

    def wanted(wildcards, attempt):
        return attempt * math.ceil(60 + STEP * getattr(run_of(wildcards), group).iterations / 60)

    return wanted
