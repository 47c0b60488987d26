"""Checkpoints of trainings: an interrupted one resumes from its checkpoint, a finished one removes it."""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagseg.artifacts.atomic import write_text
from tagseg.artifacts.bundle import write_torch
from tagseg.artifacts.facts import as_json, difference
from tagseg.errors import TagsegError
from tagseg.networks.backbones.weights import load_dict

log = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoint of one training in a folder; its file name is a digest of `facts`, what the training depends on.

    A training with other facts (a changed key, other tags, other masks) has another file, so no checkpoint is
    overwritten, or used where it does not fit: on loading, the log says how each unused one differs. `every` is the
    number of steps between two saves, 0 for none.
    """

    def __init__(self, folder: Path | None, every: int, facts: Mapping[str, Any]):
        self.every = every if folder is not None else 0
        self._folder = folder or Path()
        self._facts = as_json(facts)
        digest = hashlib.sha256(json.dumps(self._facts, sort_keys=True).encode()).hexdigest()[:16]
        self._file = self._folder / f"{digest}.pt"

    def save(self, state: dict[str, Any]) -> None:
        """Write `state` in place of the previous one; a kill at any moment leaves one of the two whole."""
        write_text(self._file.with_suffix(".json"), json.dumps(self._facts, indent=1, sort_keys=True))
        write_torch(self._file, state)

    def load(self) -> dict[str, Any] | None:
        """The saved state, or None. Raises TagsegError if the file is not a whole checkpoint."""
        if not self.every:
            return None
        for other in sorted(self._folder.glob(f"{'[0-9a-f]' * 16}.json")):
            if other.stem != self._file.stem:
                file, gap = other.with_suffix(".pt"), self._difference(other)
                log.warning("%s: not used, it is of another training: %s", file, gap)
        if not self._file.is_file():
            return None
        state = load_dict(self._file, "a tagseg checkpoint", "move it away to train from the start")
        if not {"step", "rows", "network", "optimiser", "scaler", "random"} <= set(state):
            raise TagsegError(f"{self._file}: not a tagseg checkpoint; move it away to train from the start")
        return state

    def clear(self) -> None:
        """Remove this training's checkpoint: it has ended, and its model is written."""
        if self.every:
            for file in (self._file, self._file.with_suffix(".json")):
                file.unlink(missing_ok=True)

    def _difference(self, file: Path) -> str:
        try:
            theirs = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            theirs = None
        return difference(theirs, self._facts) if isinstance(theirs, dict) else "its description cannot be read"
