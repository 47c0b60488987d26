"""Inspect the photographs, tags and masks that a project is made of."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from tagseg.artifacts.atomic import write_text
from tagseg.config.data import CLASS_FOLDERS, FolderData
from tagseg.config.names import plain, unquoted
from tagseg.config.parsing import checked
from tagseg.datasets import folder, folder_masks
from tagseg.datasets.checks import Checks
from tagseg.datasets.index import BACKGROUND, ImageRecord, csv_text
from tagseg.datasets.layouts import LAYOUTS
from tagseg.datasets.texts import encodable, read_text
from tagseg.datasets.truth_checks import TruthFile, survey_truth
from tagseg.errors import TagsegError, first_of
from tagseg.images.files import require_size
from tagseg.images.formats import reason_and_remedy

_LISTS = (".txt", ".csv", ".names")  # suffixes of a file of classes: a misspelt path is no name of a class
_SHOWN = 10  # faults on the screen; all are in the report


@dataclass(frozen=True)
class Inspection:
    """What a project can be made of: classes, photographs and masks by id; notes on them, and what is wrong."""

    classes: list[str]
    records: list[ImageRecord]
    masks: dict[str, TruthFile]
    notes: list[str]
    checks: Checks

    def without_faulty(self) -> "Inspection":
        """Without photographs that have a fault themselves, or in their row or mask."""
        faulty = {fault.image for fault in self.checks.faults}
        return replace(
            self,
            records=[record for record in self.records if record.id not in faulty],
            masks={image_id: file for image_id, file in self.masks.items() if image_id not in faulty},
        )

    def with_splits(self) -> "Inspection":
        """Photographs with a mask get split val if the table names no split; without masks in val, none is used."""
        records = self.records
        if self.masks and all(record.split == "train" for record in records):
            records = [replace(r, split="val" if r.id in self.masks else "train") for r in records]
        if self.masks and not any(record.split == "val" and record.id in self.masks for record in records):
            note = f"note: no photograph of split val has a mask: the {len(self.masks)} of others are not used"
            return replace(self, records=records, masks={}, notes=[*self.notes, note])
        return replace(self, records=records)


def inspect(data: FolderData, images: Path, threads: int) -> Inspection:
    """Decode every photograph and mask of `data`; records have paths below `images`, as that was given.

    What is wrong with single photographs, rows and masks is collected in `checks`. Raises TagsegError for what is wrong
    with the table or the masks as a whole: no mask is a photograph's, none holds a label.
    """
    checks = Checks(collect=True, threads=threads)
    names, found = folder.index(data, checks)
    records = []
    for record in found:
        with checks.of(record.id):
            require_size(record.path, record.width, record.height)
            records.append(replace(record, path=images / record.path.relative_to(images.absolute())))
    classes = data.classes or [name for name in names if any(name in record.tags for record in records)]
    masks, notes = _masks(data, records, classes, checks)
    return Inspection(classes, records, masks, notes, checks)


def _masks(
    data: FolderData, records: list[ImageRecord], classes: list[str], checks: Checks
) -> tuple[dict[str, TruthFile], list[str]]:
    """Masks by image, and notes on them; what is wrong with single ones goes to `checks`."""
    files = folder_masks.truth_files(data, records, classes) if records else []
    if not files:
        return {}, []
    survey = survey_truth(files, classes, checks, LAYOUTS["folder"].white)
    notes = [f"{len(files)} of {len(records)} photographs have a mask"]
    notes += [f"note: {doubt}" for doubt in survey.doubts()]
    unmatched = folder_masks.unmatched(data, files)
    if unmatched:
        first = first_of([path.name for path in unmatched])
        notes.append(f"note: {len(unmatched)} masks are of no photograph and are not used: {first}")
    return {file.record.id: file for file in files}, notes


def folder_data(images: Path, tags: str, masks: Path | None, classes: list[str], foreground: int) -> FolderData:
    """The data set of these folders and this table, with absolute paths. Raises TagsegError if no mask is there."""
    if masks and not masks.is_dir():
        raise TagsegError(f"{masks}: no such folder; give the one that holds the masks, or leave --masks out")
    if masks and not folder_masks.candidates(masks):
        raise TagsegError(f"{masks}: no mask in it; give the folder that holds the masks, or leave --masks out")
    values = {
        "root": Path(),  # not used: the paths below are absolute
        "images": str(images.absolute()),
        "tags": tags if tags == CLASS_FOLDERS else str(Path(tags).absolute()),
        "masks": str(masks.absolute()) if masks else "",
        "foreground": foreground,
        "classes": classes,
    }
    return checked(FolderData, values)


def class_names(classes: str) -> list[str]:
    """Foreground classes: names joined by commas, or the lines of a file; `background` may stand first."""
    if Path(classes).suffix in _LISTS or os.path.isfile(classes):  # noqa: PTH113 (a list may be too long for a path)
        text = read_text(Path(classes))
    else:
        text = classes.replace(",", "\n")
    names = [name for line in text.splitlines() if (name := unquoted(plain(line)))]
    return names[1:] if names[:1] == [BACKGROUND] else names


def write_faults(path: Path, checks: Checks) -> None:
    """Write a CSV of all faults, and of files in a format that is not read."""
    rows = [[f.file, f.line or "", f.image, f.what, f.remedy] for f in checks.faults]
    rows += [[file, "", "", *reason_and_remedy(file)] for file in checks.unread]
    write_text(path, encodable(csv_text(["file", "line", "image", "what", "remedy"], rows)))


def fault_lines(checks: Checks, report: Path) -> str:
    """The first faults, one a line, and where all are."""
    lines = [str(fault) for fault in checks.faults[:_SHOWN]]
    lines.append(
        f"{len(checks.faults)} faults, all in {report}; fix them, or leave these images out with --leave-out-faulty"
    )
    return "\n".join(lines)
