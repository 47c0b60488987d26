"""A trained network on any photographs: label maps, pictures of them, scores, and a table of what was found."""

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from tagseg.artifacts.atomic import atomic, tidied, write_text
from tagseg.artifacts.forms import SCORES
from tagseg.artifacts.outputs import require_own
from tagseg.artifacts.shards import digest_of
from tagseg.commands.gathering import Photograph
from tagseg.commands.known_tags import Labels, allowed_labels
from tagseg.config import Crf
from tagseg.config.masks import PredictionCrfSettings, RegionSettings
from tagseg.config.networks import InferenceMachine
from tagseg.datasets.index import csv_text
from tagseg.errors import TagsegError
from tagseg.figures.letters import key_to
from tagseg.figures.overlay import overlay
from tagseg.images.files import UNREADABLE, encode_labels, read_image, require_size
from tagseg.images.formats import reason_and_remedy
from tagseg.images.marks import NAME, OVERLAY, jpeg_comment
from tagseg.images.resize import resized
from tagseg.networks.backbones.weights import one_line
from tagseg.regions import MODES
from tagseg.runtime.device import prepare
from tagseg.runtime.label_maps import facts, strongest, with_crf
from tagseg.runtime.prefetch import ahead, fetched, image_tensor, one_behind, pinned
from tagseg.runtime.progress import rate
from tagseg.runtime.restore import load_segmentation

SUMMARY = "summary.csv"
log = logging.getLogger(__name__)
_LONGEST_JPEG = 65_500  # pixels: the format has no room for more
_KEPT_BACK = 4  # times images_at_once: decoded photographs that may wait for others of their size


@dataclass(frozen=True)
class Outputs:
    """Where results go, and which there are beside the label map `NAME.png`."""

    folder: Path
    overlay: bool = True
    scores: bool = False

    def labels(self, photograph: Photograph) -> Path:
        """Indexed PNG with the VOC palette."""
        return self.folder / f"{photograph.name}.png"

    def picture(self, photograph: Photograph) -> Path:
        """The photograph under colours."""
        return self.folder / f"{photograph.name}.overlay.jpg"

    def arrays(self, photograph: Photograph) -> Path:
        """Scores before the softmax, as the network gives them."""
        return self.folder / f"{photograph.name}.npz"

    def all(self, photograph: Photograph) -> list[Path]:
        """The files of one photograph."""
        more = [(self.overlay, self.picture), (self.scores, self.arrays)]
        return [self.labels(photograph), *(path(photograph) for wanted, path in more if wanted)]


@dataclass(frozen=True)
class Result:
    """What became of a photograph: the share of its pixels of each class found, or why there is none."""

    photograph: Photograph
    shares: dict[str, float]
    failure: str = ""
    skipped: bool = False


@dataclass(frozen=True)
class _Loaded:
    """A photograph at its own size and as the network takes it, the labels that may win in it, and its mark."""

    photograph: Photograph
    image: np.ndarray
    pixels: Tensor
    labels: Labels
    mark: str


@torch.inference_mode()
def label_photographs(
    model: Path,
    photographs: list[Photograph],
    outputs: Outputs,
    smoothing: PredictionCrfSettings,
    region_settings: RegionSettings,
    machine: InferenceMachine,
    *,
    crf: Crf,
    classes: str | None,
    tags: Path | None,
    skip_existing: bool,
    threads: int,
    unread: Sequence[str] = (),
) -> list[Result]:
    """Write the outputs of each photograph, and `summary.csv`; what became of each, in the order given.

    A photograph that cannot be done does not stop the others. It is brought to the size that the network was trained
    at, as `tagseg score` does, so that both give the same labels. With `skip_existing`, one whose outputs are there,
    made from the same content by the same model in the same way, is left as it is. `unread` are files of a form that is
    not read: the table names them behind the photographs. Raises TagsegError for a model that is none, for classes that
    it does not know, and for outputs in whose place a file is that is not tagseg's.
    """
    if outputs.folder.exists() and not outputs.folder.is_dir():
        raise TagsegError(f"{outputs.folder}: is a file; give a folder to write to")
    _require_room(outputs, photographs)
    device = prepare(machine, threads)
    network, names, side = load_segmentation(model)
    device.put(network)
    if outputs.overlay and key_to(names):
        log.warning("%s", key_to(names))
    allowed = allowed_labels(classes, tags, names, photographs)
    how = {"model": digest_of([model]), **facts(crf, smoothing, "scores")}
    if crf == "higher_order":
        how |= {"regions": region_settings.model_dump()}

    def load(photograph: Photograph) -> _Loaded | Result:
        try:
            labels = allowed(photograph)
            mark = _mark(photograph, {**how, "labels": labels})
            if skip_existing and (shares := _made_before(outputs, photograph, mark, names)) is not None:
                return Result(photograph, shares, skipped=True)
            image = read_image(photograph.path)
            require_size(photograph.path, image.shape[1], image.shape[0])
            small = image if not side else np.asarray(resized(Image.fromarray(image), side))
            return _Loaded(photograph, image, image_tensor(small), labels, mark)
        except Exception as error:  # whatever it is, it is this photograph's, and the others go on
            return Result(photograph, {}, _reason(error, photograph))

    def scored(group: list[_Loaded]) -> Iterator[tuple[_Loaded, Callable[[], np.ndarray]]]:
        batch = pinned(torch.stack([one.pixels for one in group])).to(device.torch_device, non_blocking=True)
        wait = fetched({"maps": network(batch).half()})
        for i, one in enumerate(group):
            yield one, lambda i=i: wait()["maps"][i]  # type: ignore[misc]

    def finish(given: Result | tuple[_Loaded, Callable[[], np.ndarray]]) -> Result:
        if isinstance(given, Result):
            return given
        one, wait = given
        try:
            return _write(outputs, one, wait(), names, crf, smoothing, region_settings)
        except Exception as error:  # as above
            return Result(one.photograph, {}, _reason(error, one.photograph))

    def through_the_network() -> Iterator[Result | tuple[_Loaded, Callable[[], np.ndarray]]]:
        for group in _of_one_size(ahead(photographs, load, device.loaders), machine.images_at_once):
            if isinstance(group, Result):
                yield group
                continue
            try:
                yield from scored(group)
            except Exception as error:  # of torch, as a rule: no memory left
                yield from (Result(one.photograph, {}, _reason(error, one.photograph)) for one in group)

    results: dict[Photograph, Result] = {}
    with rate("images", len(photographs)), tqdm(total=len(photographs), unit="image", disable=None) as bar:
        for result in ahead(one_behind(through_the_network()), finish, device.loaders):
            results[result.photograph] = result
            bar.update()
    ordered = [results[photograph] for photograph in photographs]
    tidied(path for result in ordered if not result.failure for path in outputs.all(result.photograph))
    write_text(outputs.folder / SUMMARY, _table(ordered, outputs, unread))
    return ordered


def _require_room(outputs: Outputs, photographs: list[Photograph]) -> None:
    """Raise TagsegError if an output would replace a photograph, or any other file that tagseg did not write."""
    taken = {photograph.path.resolve() for photograph in photographs}
    for photograph in photographs:
        for path in outputs.all(photograph):
            if os.path.lexists(path) and path.resolve() in taken:
                raise TagsegError(
                    f"{path}: is a photograph, and would be replaced by what is made of {photograph.path}; "
                    "give another folder to write to"
                )
            require_own([path])
    require_own([outputs.folder / SUMMARY])


def _of_one_size(loaded: Iterable[_Loaded | Result], at_once: int) -> Iterator[list[_Loaded] | Result]:
    """Groups of up to `at_once` photographs of one size; what is a result already passes.

    Few wait for others of their size: once too many do, the largest group goes as it is.
    """
    waiting: dict[torch.Size, list[_Loaded]] = {}
    for one in loaded:
        if isinstance(one, Result):
            yield one
            continue
        waiting.setdefault(one.pixels.shape, []).append(one)
        fullest = max(waiting, key=lambda size: len(waiting[size]))
        if len(waiting[fullest]) == at_once or sum(map(len, waiting.values())) >= _KEPT_BACK * at_once:
            yield waiting.pop(fullest)
    yield from waiting.values()


def _write(
    outputs: Outputs,
    one: _Loaded,
    scores: np.ndarray,
    names: list[str],
    crf: Crf,
    smoothing: PredictionCrfSettings,
    region_settings: RegionSettings,
) -> Result:
    """Labels from scores (N, h, w) float16, and the files of one photograph, its label map last."""
    own, size = scores[one.labels], (one.image.shape[0], one.image.shape[1])
    if crf == "none":
        winner = strongest(own, size)
    else:
        regions = _regions(one.image, region_settings) if crf == "higher_order" else None
        winner = with_crf(own, "scores", one.image, regions, smoothing).argmax(axis=0)
    labels = np.array(one.labels, dtype=np.uint8)[winner]
    if outputs.scores:
        with atomic(outputs.arrays(one.photograph), tidy=False) as temporary, temporary.open("w+b") as file:
            np.savez(file, scores=scores, classes=np.array(names))
            with zipfile.ZipFile(file, "a") as archive:
                archive.comment = SCORES
    if outputs.overlay:
        with atomic(outputs.picture(one.photograph), tidy=False) as temporary:
            picture = Image.fromarray(overlay(one.image, labels, names))
            picture.thumbnail((_LONGEST_JPEG, _LONGEST_JPEG))
            picture.save(temporary, format="JPEG", quality=90, subsampling=0, comment=jpeg_comment(OVERLAY))
    with atomic(outputs.labels(one.photograph), tidy=False) as temporary:
        temporary.write_bytes(encode_labels(labels, **{NAME: one.mark}))
    return Result(one.photograph, _shares(labels, names))


def _regions(image: np.ndarray, settings: RegionSettings) -> np.ndarray:
    from tagseg.regions import crisp_boundaries  # here: numba and higra take seconds to load, and most uses do without

    parameters = replace(MODES[settings.mode], longest_side=settings.longest_side)
    crisp = crisp_boundaries(image, seed=settings.seed, parameters=parameters)
    return crisp.regions(settings.threshold).astype(np.int32)


def _shares(labels: np.ndarray, names: list[str]) -> dict[str, float]:
    counts = np.bincount(labels.ravel(), minlength=len(names))
    return {name: count / labels.size for name, count in zip(names, counts.tolist(), strict=True) if count}


def _mark(photograph: Photograph, how: dict[str, object]) -> str:
    """A digest of a file's content and of all that decides on its label map."""
    content = hashlib.sha256(photograph.path.read_bytes()).hexdigest()
    return hashlib.sha256(json.dumps([content, how], sort_keys=True).encode()).hexdigest()[:16]


def _made_before(outputs: Outputs, photograph: Photograph, mark: str, names: list[str]) -> dict[str, float] | None:
    """Shares of the classes in a label map that bears the mark, if that and all other outputs are there."""
    if not all(path.is_file() for path in outputs.all(photograph)):
        return None
    try:
        with Image.open(outputs.labels(photograph)) as image:
            return _shares(np.asarray(image), names) if image.info.get(NAME) == mark else None
    except UNREADABLE:
        return None


def _reason(error: Exception, photograph: Photograph) -> str:
    """Why a photograph failed, in one line that does not name it again."""
    if isinstance(error, MemoryError):
        return "not enough memory; scale it down"
    if isinstance(error, OSError) and error.strerror:
        other = error.filename and str(error.filename) != str(photograph.path)
        return f"{error.filename}: {error.strerror}" if other else error.strerror
    return one_line(error).removeprefix(f"{photograph.path}: ")


def _table(results: list[Result], outputs: Outputs, unread: Sequence[str]) -> str:
    """`summary.csv`: image, its label map, the classes found (NAME=SHARE, joined by `;`), and why there are none."""
    rows = []
    for result in results:
        file = "" if result.failure else outputs.labels(result.photograph).relative_to(outputs.folder).as_posix()
        found = ";".join(f"{name}={share:.4g}" for name, share in result.shares.items())
        rows.append([_printable(result.photograph.path), _printable(file), found, result.failure])
    rows += [[_printable(file), "", "", "; ".join(reason_and_remedy(file))] for file in unread]
    return csv_text(["image", "file", "classes", "failure"], rows)


def _printable(path: Path | str) -> str:
    """A path as UTF-8 text; bytes of its name that are none as `\\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
