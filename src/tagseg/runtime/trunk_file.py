"""The file that `tagseg prepare-trunk` writes: which trunk, as ONNX models if it can be, and where its maps go."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from tagseg.artifacts.shards import Shard, write_shard
from tagseg.config.networks import BackboneSettings, ViewSettings
from tagseg.errors import TagsegError
from tagseg.networks.backbones.base import Statistics

_MODELS = "models"  # the one group of the file


class TrunkFacts(BaseModel):
    """What the file says of the trunk."""

    model_config = ConfigDict(frozen=True)

    network: dict[str, Any]  # `stamps.network_facts`
    views: ViewSettings
    statistics: Statistics  # for `normalise`
    names: tuple[str, ...]  # of the maps that are kept: conv4, conv5, and features if the trunk's tail is not known
    has_tail: bool  # whether layers lie between conv5 and the classifier, which `tail` are
    engine: str  # which engines can run it, and how far apart they are
    stored: bool  # whether the maps of all photographs are stored, or the trunk runs again where they are needed
    bytes: int  # that they take, or would

    def backbone(self) -> BackboneSettings:
        """The network's keys."""
        return BackboneSettings(**{name: self.network[name] for name in BackboneSettings.model_fields})


@dataclass(frozen=True)
class TrunkFile:
    """A trunk's facts, and its two parts as ONNX models: `maps`, to what is kept, and `tail`, behind conv5.

    Both are None if PyTorch has to run the trunk, and `tail` if nothing lies behind conv5, or it is not known.
    """

    facts: TrunkFacts
    maps: bytes | None
    tail: bytes | None


def write_trunk(path: Path, trunk: TrunkFile) -> None:
    """Write the file. Equal content gives equal bytes."""
    models = {"maps": trunk.maps, "tail": trunk.tail}
    with write_shard(path, "trunk", trunk.facts.model_dump(mode="json")) as writer:
        writer.put(_MODELS, {name: np.frombuffer(model or b"", dtype=np.uint8) for name, model in models.items()})


def read_trunk(path: Path) -> TrunkFile:
    """Read the file. Raises TagsegError if it is missing, or not one of a trunk."""
    with Shard(path, "trunk") as shard:
        try:
            facts = TrunkFacts(**shard.parameters)
        except ValidationError:
            raise TagsegError(f"{path}: of another version of tagseg; make it again (tagseg prepare-trunk)") from None
        maps, tail = (shard.get(_MODELS, name).tobytes() or None for name in ("maps", "tail"))
    return TrunkFile(facts, maps, tail)
