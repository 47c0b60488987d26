"""Match masks to photographs in a folder of your own: by the photograph's name, with the suffix .png in any case."""

import difflib
import os
from functools import partial
from pathlib import Path

from tagseg.config.data import FolderData
from tagseg.config.names import nfc
from tagseg.datasets.digests import files_below
from tagseg.datasets.folder_names import Photographs
from tagseg.datasets.index import ImageRecord
from tagseg.datasets.truth_checks import TruthFile
from tagseg.errors import TagsegError
from tagseg.images.files import read_labels
from tagseg.images.formats import SUFFIXES
from tagseg.images.mask_values import Foreground

_OTHERS = (*SUFFIXES, ".npy", ".mat")  # files that may be meant as masks
_DEFAULT = FolderData.model_fields["masks"].default


def masks_folder(data: FolderData) -> Path | None:
    """The folder of masks; None if there is none, or nothing in it that may be a mask."""
    folder = data.root / data.masks
    return folder if data.masks and candidates(folder) else None


def masks_by_id(data: FolderData, records: list[ImageRecord]) -> dict[str, Path]:
    """Masks of the images that have one: `ID.png`, or the photograph's own path with the suffix `.png`, in any case.

    Raises TagsegError if an image has two.
    """
    names = _by_name(data)
    found: dict[str, Path] = {}
    for record in records:
        paths = [path for name in _names(data, record) for path in names.get(name, [])]
        own = [path for path in dict.fromkeys(paths) if path.absolute() != record.path.absolute()]
        if len(own) > 1:
            raise TagsegError(f"{own[1]}: {own[0]} is a mask of the same photograph, {record.path}; keep one of them")
        if own:
            found[record.id] = own[0]
    return found


def truth_files(data: FolderData, records: list[ImageRecord], classes: list[str]) -> list[TruthFile]:
    """The masks, each with its reader. With `data.foreground`, the foreground is the photograph's tagged class.

    Raises TagsegError if there is a folder of masks and none belongs to a photograph, or an image has two; and if a
    folder is named that does not exist.
    """
    folder = masks_folder(data)
    if folder is None:
        if data.masks not in ("", _DEFAULT) and not (data.root / data.masks).is_dir():
            raise TagsegError(
                f"{data.root / data.masks}: no such folder; set data.masks to that of the masks, or to ''"
            )
        return []
    masks = masks_by_id(data, records)
    if not masks:
        raise TagsegError(f"{folder}: {_none_matches(data, folder, records)}")
    files = []
    for record in records:
        if record.id in masks:
            foreground = Foreground(data.foreground, _label(record, classes)) if data.foreground else None
            read = partial(read_labels, masks[record.id], foreground)
            files.append(TruthFile(record, masks[record.id], read, foreground))
    return files


def unmatched(data: FolderData, files: list[TruthFile]) -> list[Path]:
    """Files in the folder of masks that may be masks but belong to no image, without photographs."""
    folder = masks_folder(data)
    if folder is None:
        return []
    used = {os.path.abspath(file.path) for file in files}  # noqa: PTH100 (there may be a hundred thousand)
    images = os.path.abspath(data.root / data.images) + os.sep  # noqa: PTH100
    there = [(path, os.path.abspath(path)) for path in candidates(folder)]  # noqa: PTH100
    return [path for path, whole in there if whole not in used and not whole.startswith(images)]


def candidates(folder: Path) -> list[Path]:
    """The files in a folder that may be meant as masks."""
    return [path for path in files_below(folder) if path.suffix.lower() in _OTHERS]


def _by_name(data: FolderData) -> dict[str, list[Path]]:
    """The .png files in the folder of masks by their path below it, without suffix."""
    folder = masks_folder(data)
    found: dict[str, list[Path]] = {}
    if folder is None:
        return found
    for path in candidates(folder):
        if path.suffix.lower() == ".png":
            found.setdefault(nfc(path.relative_to(folder).with_suffix("").as_posix()), []).append(path)
    return found


def _names(data: FolderData, record: ImageRecord) -> list[str]:
    """The paths, below the folder of masks and without suffix, that an image's mask may have."""
    path, images = record.path.absolute(), (data.root / data.images).absolute()
    below = [nfc(path.relative_to(images).with_suffix("").as_posix())] if path.is_relative_to(images) else []
    return list(dict.fromkeys([record.id, *below]))


def _label(record: ImageRecord, classes: list[str]) -> int:
    """The label of an image's foreground: its only tag, or the only class; 0 if there are several."""
    if len(classes) == 1:
        return 1
    return classes.index(record.tags[0]) + 1 if len(record.tags) == 1 else 0


def _none_matches(data: FolderData, folder: Path, records: list[ImageRecord]) -> str:
    """Why no mask belongs to a photograph, by the closest example, and what to do."""
    photographs = {record.path.absolute() for record in records}
    others = [path for path in candidates(folder) if path.absolute() not in photographs]
    if not others:
        return "no mask in it; put them there as ID.png, called like their photographs, or set data.masks to ''"
    known = Photographs(data.root / data.images)
    strangers = {nfc(Path(name).with_suffix("").as_posix()): name for name in known.paths}
    for path in others:
        name = nfc(path.relative_to(folder).with_suffix("").as_posix())
        if path.suffix.lower() == ".png" and name in strangers:
            return (
                f"none of its {len(others)} masks is of a photograph that has tags: {path.relative_to(folder)} is of "
                f"{strangers[name]}, which no row names; add rows for such photographs, or set data.masks to ''"
            )
    stems = {Path(name).name: record for record in records for name in _names(data, record)}
    for path in others[:100]:
        stem = nfc(path.stem)
        inside = [name for name in stems if name in stem]
        near = [max(inside, key=len)] if inside else difflib.get_close_matches(stem, stems, n=1)
        if near:
            record = stems[near[0]]
            wanted = f"{_names(data, record)[-1]}.png"
            png = path.suffix.lower() == ".png"
            return (
                f"none of its {len(others)} files is called like a photograph: {path.relative_to(folder)} is nearly "
                f"the mask of {record.path.name}, which would be {wanted}; "
                f"{'rename it to this' if png else 'save it as this PNG file'}, and the others in the same way"
            )
    return (
        f"none of its {len(others)} files is called like a photograph: there is {others[0].relative_to(folder)}, and "
        f"{_names(data, records[0])[-1]}.png would be that of {records[0].path.name}; call masks as their photographs"
        if records
        else "no photograph is left that its masks could be of; index some"
    )
