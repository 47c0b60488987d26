"""An own folder: photographs, a table of their tags (or folders of classes) and, for evaluation only, masks."""

import difflib
import logging
from pathlib import Path

from tagseg.config_data import CLASS_FOLDERS, MOST_CLASSES, FolderData
from tagseg.datasets.checks import Checks
from tagseg.datasets.index import ImageRecord
from tagseg.datasets.photographs import Photographs, image_id
from tagseg.datasets.tag_tables import SPLITS, TagRow, TagTable, read_class_folders, read_tags
from tagseg.errors import TagsegError

log = logging.getLogger(__name__)


def index(data: FolderData, checks: Checks | None = None) -> tuple[list[str], list[ImageRecord]]:
    """Classes (without background) and records, in the order of the table, or of the class folders.

    A photograph that no row names is not used. What is wrong with rows and photographs goes to `checks`; without, the
    first such thing is raised as a TagsegError naming file and line. So is a missing or unreadable table, always.
    """
    checks = checks or Checks()
    photographs, table = _read(data)
    for fault in table.faults:
        if not checks.leaves_out(image_id(fault.image), fault.image):
            checks.add(fault)
    classes = data.classes or sorted({tag for row in table.rows for tag in row.tags})
    if len(classes) > MOST_CLASSES:
        raise TagsegError(f"{_source(data)}: {len(classes)} classes; a mask has room for {MOST_CLASSES}; drop some")
    rows: dict[str, tuple[TagRow, Path]] = {}
    for row in table.rows:
        with checks.of(row.image):
            _add(row, photographs, classes, checks, rows)
    if not rows and not checks.faults:
        raise TagsegError(f"{_source(data)}: no images; add a line image,tags for each photograph")
    _warn(classes, rows)
    named = {path for _, path in rows.values()}
    checks.unnamed = [path for path in photographs.paths.values() if path not in named]
    sizes = checks.sizes({name: path for name, (_, path) in rows.items()})
    records = []
    for name, (width, height) in sizes.items():
        row, path = rows[name]
        records.append(ImageRecord(name, row.split, path, width, height, row.tags))
    return list(classes), records


def truth(data: FolderData, records: list[ImageRecord]) -> dict[str, Path]:
    """Masks by id, of the images that have one: `ID.png`, or the photograph's own path with the suffix `.png`."""
    folder, images = data.root / data.masks, data.root / data.images
    masks: dict[str, Path] = {}
    for record in records:
        names = [folder / f"{record.id}.png"]
        if record.path.is_relative_to(images):
            names.append(folder / record.path.relative_to(images).with_suffix(".png"))
        there = [path for path in names if path.is_file()]
        if there:
            masks[record.id] = there[0]
    return masks


def sources(data: FolderData) -> list[Path]:
    """The table of tags, or the folders of photographs: a new index is made when one changes."""
    if data.tags != CLASS_FOLDERS:
        return [_source(data)]
    folder = _source(data)
    return [folder, *(folder / name for name in Photographs(folder).folders)] if folder.is_dir() else [folder]


def has_truth(data: FolderData) -> bool:
    """Whether there is a folder of masks."""
    return (data.root / data.masks).is_dir()


def _source(data: FolderData) -> Path:
    return data.root / (data.images if data.tags == CLASS_FOLDERS else data.tags)


def _read(data: FolderData) -> tuple[Photographs, TagTable]:
    if data.tags == CLASS_FOLDERS:
        photographs = Photographs(data.root / data.images)
        table = read_class_folders(photographs)
        if not table.rows and not table.faults:
            raise TagsegError(f"{photographs.folder}: no folder of photographs in it; put them there as CLASS/NAME.jpg")
        return photographs, table
    path = _source(data)
    if not path.is_file():
        raise TagsegError(
            f"{path}: no such file; an own folder needs images/ and tags.csv (image,tags); set data.tags to another "
            f"table, or to {CLASS_FOLDERS} where the photographs lie in folders of classes"
        )
    table = read_tags(path)
    return Photographs(data.root / data.images), table


def _add(
    row: TagRow, photographs: Photographs, classes: list[str], checks: Checks, rows: dict[str, tuple[TagRow, Path]]
) -> None:
    """Put a row under its image's id. Raises TagsegError if something is wrong with it, unless it is left out."""
    where = f"{row.file}:{row.line}" if row.line else f"{row.file}"
    try:
        name, missing = photographs.find(row.image), ""
    except TagsegError as error:
        name, missing = row.image, str(error)
    new = image_id(name)
    if checks.leaves_out(new, name, row.image):
        return
    if missing:
        raise TagsegError(f"{where}: {missing}")
    for tag in row.tags:
        if tag not in classes:
            close = difflib.get_close_matches(tag.lower(), {c.lower(): c for c in classes}, n=1, cutoff=0.75)
            meant = next((f"did you mean {c!r}?" for c in classes if close and c.lower() == close[0]), "")
            raise TagsegError(
                f"{where}: tag {tag!r} is not among the classes: {', '.join(classes)}; "
                f"{meant or 'mend the tag, or add it to data.classes'}"
            )
    if new in rows:
        other, path = rows[new]
        if path == photographs.paths[name]:
            raise TagsegError(
                f"{where}: image {new!r} was named before, in line {other.line}; keep one line for each image"
            )
        raise TagsegError(f"{where}: {name} and {other.image} would have one id, {new}; rename one of the files")
    rows[new] = row, photographs.paths[name]


def _warn(classes: list[str], rows: dict[str, tuple[TagRow, Path]]) -> None:
    """What is no fault, but may be a slip of the pen."""
    alike: dict[str, str] = {}
    for name in classes:
        other = alike.setdefault(name.casefold(), name)
        if other != name:
            log.warning("classes %r and %r differ in their case alone, but are two classes", other, name)
    strange = sorted({row.split for row, _ in rows.values()} - set(SPLITS))
    if strange:
        log.warning("split %s: no target uses it; the workflow knows %s", ", ".join(strange), ", ".join(SPLITS))
