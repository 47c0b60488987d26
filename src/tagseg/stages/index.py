"""Index a data set: its images, their sizes, splits and tags, and all that is wrong with it."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tagseg.artifacts.file_types import file_type, lines_of
from tagseg.artifacts.outputs import require_list, require_own
from tagseg.config.arguments import WRITTEN, Named, Output
from tagseg.config.data import DiskData
from tagseg.datasets.checks import Checks, Fault, write_report
from tagseg.datasets.digests import content_digest
from tagseg.datasets.index import BACKGROUND, ImageRecord, read_index, write_classes, write_index
from tagseg.datasets.layouts import LAYOUTS
from tagseg.datasets.truth_checks import survey_truth
from tagseg.errors import TagsegError
from tagseg.images.files import require_size
from tagseg.images.formats import unread_line

log = logging.getLogger(__name__)
_SHOWN = 5  # faults, or names of images, on the screen; all are in the report


def run(
    data: DiskData,
    output: Output,
    classes: Annotated[Path, WRITTEN, Named("classes-file"), Field(description="classes.txt to write")],
    *,
    report: Annotated[
        Path | None,
        WRITTEN,
        Field(description="CSV of all that is wrong, to write; by default index_report.csv beside the output"),
    ] = None,
    threads: Annotated[int, Field(ge=1, description="Threads that decode photographs")] = 1,
) -> None:
    """Write `tags.csv` and `classes.txt` of a data set, and a report of all that is wrong with it.

    The report is a CSV file, by default `index_report.csv` beside `tags.csv`; it has no row if nothing is wrong. If
    anything is, only the report is written. Every image and every truth mask is decoded once, so that a broken one is
    reported here; what is written does not depend on the masks. Raises TagsegError for any fault of a row, an image or
    a mask: only what `data.leave_out` names is left out.
    """
    report = report or output.with_name("index_report.csv")
    checks = Checks(collect=True, threads=threads, leave_out=data.leave_out)
    names, records = LAYOUTS[data.kind].index(data, checks)
    for record in records:
        with checks.of(record.id):
            require_size(record.path, record.width, record.height)
    require_own([report])
    _check_truth(data, names, records, checks)
    write_report(report, checks)
    _log_report(checks, report)
    if checks.faults:
        raise TagsegError(_summary(checks.faults, report))
    if unknown := checks.unknown_left_out():
        raise TagsegError(f"data.leave_out: {unknown[0]!r} is no image of the data set; write its id, or take it out")
    if not records:
        raise TagsegError(f"{data.root}: no image is left; take some out of data.leave_out")
    _write(output, classes, names, records, threads)
    for split in sorted({record.split for record in records}):
        tags = [len(record.tags) for record in records if record.split == split]
        log.info("%s: %d images, %.2f tags an image", split, len(tags), sum(tags) / len(tags))
    if not any(record.split == "train" for record in records):
        log.warning("no image has split train: there is nothing to train on")


def _write(output: Path, classes: Path, names: list[str], records: list[ImageRecord], threads: int) -> None:
    """Write `tags.csv`, with a digest of each photograph, and `classes.txt`."""
    own = _is_own_list(classes, output)
    if not own:
        require_list(classes, [BACKGROUND, *names])
    with ThreadPoolExecutor(threads) as pool:
        digests = pool.map(content_digest, [record.path for record in records])
        records = [replace(record, digest=digest) for record, digest in zip(records, digests, strict=True)]
    if own:
        classes.unlink()  # a list that lacks some of its lines would not replace it
    write_classes(classes, names)
    write_index(output, records)


def _is_own_list(classes: Path, index: Path) -> bool:
    """Whether a list of classes, which bears no mark, belongs to the index beside it: it has all tags of that."""
    if (
        file_type(classes) != "list"
        or file_type(index) != "index"
        or classes.parent.resolve() != index.parent.resolve()
    ):
        return False
    listed = lines_of(classes)
    return listed[:1] == [BACKGROUND] and {tag for record in read_index(index) for tag in record.tags} <= set(listed)


def _check_truth(data: DiskData, names: list[str], records: list[ImageRecord], checks: Checks) -> None:
    """Check the masks that evaluation will read, if there are any. They are used for nothing else here."""
    layout = LAYOUTS[data.kind]
    if not records:
        return
    before = len(checks.faults)
    try:
        files = layout.truth_files(data, records, names)
        checks.unmatched = layout.unmatched(data, files)
        if not files:
            return
        survey = survey_truth(files, names, checks, layout.white)
        numbers = ", ".join(f"{split} {count}" for split, count in survey.splits.items())
        log.info("masks: %d of %d images have one (%s)", sum(survey.splits.values()), len(records), numbers)
        for doubt in survey.doubts():
            log.warning("masks: %s", doubt)
        if not any(file.record.split == "val" for file in files):
            raise TagsegError(
                f"{files[0].path.parent}: masks of {len(files)} images, none of which is of split val: nothing can be "
                "evaluated; give some of these the split val, or set data.masks to ''"
            )
    except TagsegError as error:
        if before:  # faults of photographs or rows: the masks' fault may be a consequence
            log.warning("masks: %s", error)
            return
        with checks.of(""):
            raise error


def _log_report(checks: Checks, report: Path) -> None:
    """Log what is left out or not used, and the first of several faults."""
    if checks.left_out:
        log.warning("left out, as data.leave_out says: %s", _some(checks.left_out))
    if checks.unnamed:
        names = _some([str(path) for path in checks.unnamed])
        log.warning("%d photographs have no tags and are not used: %s (%s)", len(checks.unnamed), names, report)
    if checks.unmatched:
        names = _some([str(path) for path in checks.unmatched])
        log.warning("%d masks are of no photograph and are not used: %s (%s)", len(checks.unmatched), names, report)
    if checks.unread:
        log.warning("%s (%s)", unread_line(checks.unread), report)
    if len(checks.faults) > 1:
        for fault in checks.faults[:_SHOWN]:
            log.error("%s", fault)


def _summary(faults: list[Fault], report: Path) -> str:
    """One line: the only fault, or how many there are, and where they are listed."""
    if len(faults) == 1:
        return str(faults[0])
    images = list(dict.fromkeys(fault.image for fault in faults if fault.image))
    remedy = f", or set data.leave_out: [{_some(images)}]" if images else ""
    return f"{report}: {len(faults)} faults, each with its file and line; fix them{remedy}"


def _some(names: list[str]) -> str:
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
