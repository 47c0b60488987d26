"""The files that predict writes: for each photograph a label map, its overlay and its scores, and one table of all."""

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tagseg.artifacts.atomic import atomic
from tagseg.artifacts.file_types import SCORES, file_type
from tagseg.artifacts.outputs import require_own
from tagseg.commands.gathering import Photograph
from tagseg.datasets.index import csv_text
from tagseg.errors import TagsegError
from tagseg.figures.overlay import overlay
from tagseg.images.files import LONGEST_JPEG, UNREADABLE, encode_labels, read_labels, write_jpeg
from tagseg.images.formats import reason_and_remedy
from tagseg.images.marks import NAME, OVERLAY

SUMMARY = "summary.csv"


@dataclass(frozen=True)
class Outputs:
    """Where results go, and which there are beside the label map `NAME.png`."""

    folder: Path
    overlay: bool = True
    scores: bool = False

    @property
    def summary(self) -> Path:
        """The table of all photographs."""
        return self.folder / SUMMARY

    def labels(self, photograph: Photograph) -> Path:
        """Indexed PNG with the VOC palette."""
        return self.folder / f"{photograph.name}.png"

    def picture(self, photograph: Photograph) -> Path:
        """The photograph under the colours of its labels."""
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
    """The result of a photograph: by class, the share of its pixels in (0, 1]; or why it failed."""

    photograph: Photograph
    shares: dict[str, float]
    failure: str = ""
    skipped: bool = False


def require_room(outputs: Outputs, photographs: list[Photograph]) -> None:
    """Raise TagsegError if an output would replace a photograph, or any other file that tagseg did not write."""
    if outputs.folder.exists() and not outputs.folder.is_dir():
        raise TagsegError(f"{outputs.folder}: is a file; give a folder to write to")
    taken = {photograph.path.resolve() for photograph in photographs}
    for photograph in photographs:
        for path in outputs.all(photograph):
            if os.path.lexists(path) and path.resolve() in taken:
                raise TagsegError(
                    f"{path}: is a photograph, and would be replaced by what is made of {photograph.path}; "
                    "give another folder to write to"
                )
            require_own([path])
    require_own([outputs.summary])


def write_files(
    outputs: Outputs,
    photograph: Photograph,
    image: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
    names: list[str],
    fingerprint: str,
) -> None:
    """Write the files of one photograph, its label map last, which bears the fingerprint.

    `image` is (H, W, 3) uint8, `labels` (H, W) uint8, `scores` (N, h, w) float16, `names` those of the N classes.
    """
    if _fingerprint(outputs.labels(photograph)) != fingerprint:
        _remove_stale(outputs, photograph)
    if outputs.scores:
        with atomic(outputs.arrays(photograph), tidy=False) as temporary, temporary.open("w+b") as file:
            np.savez(file, scores=scores, classes=np.array(names))
            with zipfile.ZipFile(file, "a") as archive:
                archive.comment = SCORES
    if outputs.overlay:
        with atomic(outputs.picture(photograph), tidy=False) as temporary:
            picture = Image.fromarray(overlay(image, labels, names))
            picture.thumbnail((LONGEST_JPEG, LONGEST_JPEG))
            write_jpeg(temporary, picture, OVERLAY, quality=90)
    with atomic(outputs.labels(photograph), tidy=False) as temporary:
        temporary.write_bytes(encode_labels(labels, **{NAME: fingerprint}))


def _remove_stale(outputs: Outputs, photograph: Photograph) -> None:
    """Remove scores and overlay that tagseg made with another model or other settings: they contradict the labels."""
    for path, kind in ((outputs.picture(photograph), OVERLAY), (outputs.arrays(photograph), "scores")):
        if file_type(path) == kind:
            path.unlink()


def _fingerprint(labels: Path) -> str | None:
    """The fingerprint that a label map bears; None if it bears none, or is no picture."""
    try:
        with Image.open(labels) as image:
            return image.info.get(NAME)
    except UNREADABLE:
        return None


def class_shares(labels: np.ndarray, names: list[str]) -> dict[str, float]:
    """By name, the share of the pixels of a label map (H, W) that each class has, without those that have none."""
    counts = np.bincount(labels.ravel(), minlength=len(names))
    return {name: count / labels.size for name, count in zip(names, counts.tolist(), strict=True) if count}


def fingerprint_of(photograph: Photograph, settings: dict[str, object]) -> str:
    """A digest of a photograph's content and of all settings that its label map depends on."""
    content = hashlib.sha256(photograph.path.read_bytes()).hexdigest()
    return hashlib.sha256(json.dumps([content, settings], sort_keys=True).encode()).hexdigest()[:16]


def existing_shares(
    outputs: Outputs, photograph: Photograph, fingerprint: str, names: list[str]
) -> dict[str, float] | None:
    """Class shares of a label map that bears the fingerprint, if that and all other outputs exist."""
    labels = outputs.labels(photograph)
    if not all(path.is_file() for path in outputs.all(photograph)) or _fingerprint(labels) != fingerprint:
        return None
    try:
        return class_shares(read_labels(labels), names)
    except TagsegError:
        return None


def summary_table(results: list[Result], outputs: Outputs, unread: Sequence[str]) -> str:
    """`summary.csv`: image, its label map, the classes found (NAME=SHARE, joined by `;`), and why it failed.

    `unread` are files of a format that is not read; they come last.
    """
    rows = []
    for result in results:
        file = "" if result.failure else outputs.labels(result.photograph).relative_to(outputs.folder).as_posix()
        found = ";".join(f"{name}={share:.4g}" for name, share in result.shares.items())
        rows.append([_printable(result.photograph.path), _printable(file), found, result.failure])
    rows += [[_printable(file), "", "", "; ".join(reason_and_remedy(file))] for file in unread]
    return csv_text(["image", "file", "classes", "failure"], rows)


def _printable(path: Path | str) -> str:
    """A path as UTF-8 text; bytes of its name that are not UTF-8 as `\\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
