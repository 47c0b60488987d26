"""Run a trained network on any photographs, and write label maps, pictures of them, scores, and a table."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from tagseg.artifacts.atomic import remove_leftovers, write_text
from tagseg.artifacts.shards import digest_of
from tagseg.commands.gathering import Photograph
from tagseg.commands.known_tags import Labels, allowed_labels
from tagseg.commands.label_files import (
    Outputs,
    Result,
    class_shares,
    existing_shares,
    fingerprint_of,
    require_room,
    summary_table,
    write_files,
)
from tagseg.config import Crf
from tagseg.config.masks import PredictionCrfSettings, RegionSettings
from tagseg.config.networks import InferenceMachine
from tagseg.errors import one_line
from tagseg.figures.letters import key_to
from tagseg.images.files import read_image, require_size
from tagseg.images.resize import resized
from tagseg.runtime.crisp_regions import find_boundaries
from tagseg.runtime.device import prepare
from tagseg.runtime.engines import Engine, choose_engine
from tagseg.runtime.label_maps import crf_marginals, facts, upsampled_argmax
from tagseg.runtime.prefetch import copy_to_cpu, delay_by_one, image_tensor, pinned, prefetch
from tagseg.runtime.progress import log_rate
from tagseg.runtime.restore import load_segmentation

log = logging.getLogger(__name__)
_MOST_WAITING = 4  # times images_at_once: decoded photographs that may wait for others of their size


@dataclass(frozen=True)
class Smoothing:
    """Whether and how label maps are smoothed: the CRF, its settings, and those of its regions."""

    crf: Crf
    settings: PredictionCrfSettings
    regions: RegionSettings

    def facts(self) -> dict[str, Any]:
        """The settings that label maps depend on."""
        made = facts(self.crf, self.settings, "scores")
        return made | {"regions": self.regions.model_dump()} if self.crf == "higher_order" else made

    def winners(self, scores: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Index (H, W) of the class that wins at each pixel of `image` (H, W, 3) uint8, of its scores (L, h, w)."""
        if self.crf == "none":
            return upsampled_argmax(scores, (image.shape[0], image.shape[1]))
        regions = None
        if self.crf == "higher_order":
            regions = find_boundaries(image, self.regions).regions(self.regions.threshold).astype(np.int32)
        return crf_marginals(scores, "scores", image, regions, self.settings).argmax(axis=0)


@dataclass(frozen=True)
class _Loaded:
    """A photograph (H, W, 3) uint8, its pixels (3, h, w) for the network, the labels that may win, its fingerprint."""

    photograph: Photograph
    image: np.ndarray
    pixels: Tensor
    labels: Labels
    fingerprint: str


_Scored = tuple[_Loaded, Callable[[], np.ndarray]]  # the function waits for the scores (N, h, w) float16


@torch.inference_mode()
def label_photographs(
    model: Path,
    photographs: list[Photograph],
    outputs: Outputs,
    smoothing: Smoothing,
    machine: InferenceMachine,
    *,
    classes: str | None,
    tags: Path | None,
    skip_existing: bool,
    threads: int,
    unread: Sequence[str] = (),
) -> list[Result]:
    """Write the outputs of each photograph, and `summary.csv`; return the results in the order given.

    A photograph that fails does not stop the others. Each is resized to the size that the network was trained at, as
    `tagseg score` does, so that both give the same labels. With `skip_existing`, one is skipped whose outputs exist and
    were made of the same content, by the same model, with the same settings. `unread` are files of a format that is not
    read, for the table. Raises TagsegError if the file is no model, for classes that it does not know, and if a file
    that tagseg did not write is in the way of an output.
    """
    require_room(outputs, photographs)
    device = prepare(machine, threads)
    network, names, side = load_segmentation(model)
    if outputs.overlay and key_to(names):
        log.warning("%s", key_to(names))
    allowed = allowed_labels(classes, tags, names, photographs)
    labeller = _Labeller(
        choose_engine(network, ["maps"], device, machine.engine, len(photographs), torch.uint8),
        names,
        side,
        device.loaders,
        machine.images_at_once,
        allowed,
        outputs,
        smoothing,
        {"model": digest_of([model]), **smoothing.facts()},
        skip_existing,
    )
    results: dict[Photograph, Result] = {}
    with log_rate("images", len(photographs)), tqdm(total=len(photographs), unit="image", disable=None) as bar:
        for result in labeller.results(photographs):
            results[result.photograph] = result
            bar.update()
    ordered = [results[photograph] for photograph in photographs]
    remove_leftovers(path for result in ordered if not result.failure for path in outputs.all(result.photograph))
    write_text(outputs.summary, summary_table(ordered, outputs, unread))
    return ordered


@dataclass(frozen=True)
class _Labeller:
    """A network and all that is needed to label photographs with it."""

    engine: Engine
    names: list[str]
    side: int
    loaders: int
    images_at_once: int
    allowed: Callable[[Photograph], Labels]
    outputs: Outputs
    smoothing: Smoothing
    facts: dict[str, Any]
    skip_existing: bool

    def results(self, photographs: list[Photograph]) -> Iterator[Result]:
        """Results as they come; while the network runs, threads decode the next and write the last.

        Without loaders one thread writes all the same: Pillow and zlib release the interpreter lock, and the network
        need not wait for the disk.
        """
        return prefetch(delay_by_one(self._scored(photographs)), self._finish, max(1, self.loaders))

    def _load(self, photograph: Photograph) -> _Loaded | Result:
        try:
            labels = self.allowed(photograph)
            fingerprint = fingerprint_of(photograph, {**self.facts, "labels": labels})
            if self.skip_existing:
                shares = existing_shares(self.outputs, photograph, fingerprint, self.names)
                if shares is not None:
                    return Result(photograph, shares, skipped=True)
            image = read_image(photograph.path)
            require_size(photograph.path, image.shape[1], image.shape[0])
            small = np.asarray(resized(Image.fromarray(image), self.side)) if self.side else image
            return _Loaded(photograph, image, image_tensor(small), labels, fingerprint)
        except Exception as error:  # of any kind: only this photograph fails
            return _failed(photograph, error)

    def _scored(self, photographs: list[Photograph]) -> Iterator[Result | _Scored]:
        for group in _of_one_size(prefetch(photographs, self._load, self.loaders), self.images_at_once):
            if isinstance(group, Result):
                yield group
                continue
            try:
                yield from self._scores(group)
            except Exception as error:  # mostly torch's: not enough memory
                yield from (_failed(loaded.photograph, error) for loaded in group)

    def _scores(self, group: list[_Loaded]) -> Iterator[_Scored]:
        batch = pinned(torch.stack([loaded.pixels for loaded in group]))
        wait = copy_to_cpu({"maps": self.engine(batch)["maps"].half()})
        for i, loaded in enumerate(group):
            yield loaded, lambda i=i: wait()["maps"][i]  # type: ignore[misc]

    def _finish(self, given: Result | _Scored) -> Result:
        if isinstance(given, Result):
            return given
        loaded, wait = given
        try:
            scores = wait()
            winners = self.smoothing.winners(scores[loaded.labels], loaded.image)
            labels = np.array(loaded.labels, dtype=np.uint8)[winners]
            write_files(self.outputs, loaded.photograph, loaded.image, labels, scores, self.names, loaded.fingerprint)
            return Result(loaded.photograph, class_shares(labels, self.names))
        except Exception as error:  # of any kind: only this photograph fails
            return _failed(loaded.photograph, error)


def _of_one_size(loaded: Iterable[_Loaded | Result], at_once: int) -> Iterator[list[_Loaded] | Result]:
    """Groups of up to `at_once` photographs of equal size; results pass unchanged.

    Only a few wait for others of their size: when too many do, the largest group is yielded as it is.
    """
    waiting: dict[torch.Size, list[_Loaded]] = {}
    for one in loaded:
        if isinstance(one, Result):
            yield one
            continue
        waiting.setdefault(one.pixels.shape, []).append(one)
        fullest = max(waiting, key=lambda size: len(waiting[size]))
        if len(waiting[fullest]) == at_once or sum(map(len, waiting.values())) >= _MOST_WAITING * at_once:
            yield waiting.pop(fullest)
    yield from waiting.values()


def _failed(photograph: Photograph, error: Exception) -> Result:
    """The result of a photograph that failed: why, in one line that does not name it again."""
    if isinstance(error, MemoryError):
        reason = "not enough memory; scale it down"
    elif isinstance(error, OSError) and error.strerror:
        other = error.filename and str(error.filename) != str(photograph.path)
        reason = f"{error.filename}: {error.strerror}" if other else error.strerror
    else:
        reason = one_line(error).removeprefix(f"{photograph.path}: ")
    return Result(photograph, {}, reason)
