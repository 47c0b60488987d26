"""The trunk's maps of photographs: read where `tagseg extract` stored them, or else made again."""

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from tagseg.artifacts.shards import Shard, digest_of
from tagseg.config.networks import InferenceMachine
from tagseg.datasets.index import ImageRecord
from tagseg.errors import TagsegError

_KEPT = ("conv4-", "conv5-", "features-")
Maps = list[dict[str, np.ndarray]]  # for each scale, the maps (V, C, h, w) float16 by name: conv4, conv5, features


def trunk_maps(
    features: Path,
    trunk: Path,
    records: Sequence[ImageRecord],
    done: Container[str],
    machine: InferenceMachine,
    threads: int,
) -> Iterator[tuple[ImageRecord, Maps]]:
    """The maps of each of `records` that is not `done`.

    They are in the shard `features`. If `tagseg prepare-trunk` found that they would not fit on the disk, the trunk of
    the file `trunk` runs again, and gives the same values. Raises TagsegError if the features are those of another
    trunk, whose values would mean something else.
    """
    with Shard(features, "features") as shard:
        if shard.parameters["trunk"] != digest_of([trunk]):
            raise TagsegError(f"{features}: made with another trunk than {trunk}; run tagseg extract again")
        if shard.parameters["stored"]:
            for record in records:
                if record.id not in done:
                    yield record, by_scale({name: shard.get(record.id, name) for name in shard.names(record.id)})
            return
    # imported here: takes seconds, and stored maps are read without it
    from tagseg.runtime.frozen_trunk import FrozenTrunk
    from tagseg.runtime.prefetch import delay_by_one

    for group, wait in delay_by_one(FrozenTrunk(trunk, machine, threads).passes(records, done)):
        arrays = wait()
        for i, record in enumerate(group):
            yield record, by_scale({name: values[i] for name, values in arrays.items()})


def by_scale(arrays: Mapping[str, np.ndarray]) -> Maps:
    """The maps of one image, given as `MAP-S`, by scale S and name; arrays of other names are left out."""
    named = {tuple(name.rsplit("-", 1)): values for name, values in arrays.items() if name.startswith(_KEPT)}
    scales = 1 + max(int(number) for _, number in named)
    return [{name: values for (name, own), values in named.items() if int(own) == i} for i in range(scales)]


def regression_layers(scales: Maps) -> list[list[np.ndarray]]:
    """The maps (C, h, w) float32 that the second round's regression reads: at each scale, conv4 and conv5."""
    return [[maps[name].mean(axis=0, dtype=np.float32) for name in ("conv4", "conv5")] for maps in scales]
