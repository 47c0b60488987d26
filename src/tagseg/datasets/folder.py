"""A folder of your own: photographs, a table of their tags (or class folders) and, for evaluation only, masks."""

import difflib
import logging
from pathlib import Path

from tagseg.config.data import CLASS_FOLDERS, MOST_CLASSES, FolderData
from tagseg.datasets.checks import Checks
from tagseg.datasets.digests import files_below
from tagseg.datasets.folder_masks import masks_by_id, masks_folder
from tagseg.datasets.folder_names import Photographs, image_id
from tagseg.datasets.index import ImageRecord
from tagseg.datasets.originals import read_originals
from tagseg.datasets.tag_tables import SPLITS, TagRow, TagTable, read_class_folders, read_tags
from tagseg.errors import TagsegError
from tagseg.images.formats import not_read

log = logging.getLogger(__name__)


def index(data: FolderData, checks: Checks | None = None) -> tuple[list[str], list[ImageRecord]]:
    """Classes (without background) and records, in the order of the table, or of the class folders.

    A photograph that no row names is not used. Faults of rows and photographs go to `checks`; without it, the first is
    raised as a TagsegError naming file and line. A missing or unreadable table always raises one.
    """
    checks = checks or Checks()
    found, table = _read(data)
    named = set()
    for fault in table.faults:
        name, _ = _find(found, fault.image)
        named.add(name)
        if not checks.leaves_out(image_id(name), name, fault.image):
            checks.add(fault)
    classes = data.classes or sorted({tag for row in table.rows for tag in row.tags})
    if len(classes) > MOST_CLASSES:
        raise TagsegError(f"{_source(data)}: {len(classes)} classes; a mask has room for {MOST_CLASSES}; drop some")
    rows: dict[str, tuple[TagRow, Path]] = {}
    for row in table.rows:
        with checks.of(row.image):
            named.add(_find(found, row.image)[0])
            _add(row, found, classes, checks, rows)
    if not rows and not checks.faults and not checks.left_out:
        raise TagsegError(f"{_source(data)}: no images; add a line image,tags for each photograph")
    _warn(classes, rows)
    checks.unread = found.unread
    others = [name for name in found.paths if name not in named]
    checks.unnamed = [found.paths[name] for name in others if not found.is_made(name)]
    if len(checks.unnamed) < len(others):
        made = len(others) - len(checks.unnamed)
        log.info("%s: %d pictures that tagseg made are passed over", found.folder, made)
    for name, original in read_originals(found.folder).items():
        if name in rows:
            with checks.of(name):
                original.require_unchanged()
    sizes = checks.sizes({name: path for name, (_, path) in rows.items()})
    records = []
    for name, (width, height) in sizes.items():
        row, path = rows[name]
        records.append(ImageRecord(name, row.split, path, width, height, row.tags))
    return list(classes), records


def truth(data: FolderData, records: list[ImageRecord]) -> dict[str, Path]:
    """Masks by id of the images that have one: `ID.png`, or the photograph's own path with the suffix `.png`."""
    return masks_by_id(data, records)


def sources(data: FolderData) -> list[Path]:
    """The table of tags, or the folders of photographs, whose changes require a new index."""
    if data.tags != CLASS_FOLDERS:
        return [_source(data)]
    folder = _source(data)
    return [folder, *(folder / name for name in Photographs(folder).folders)] if folder.is_dir() else [folder]


def photographs(data: FolderData) -> list[Path]:
    """The photographs that rows name, and the originals of working copies; none if the table is broken."""
    try:
        found, table = _read(data)
    except TagsegError:
        return []
    names = {_find(found, row.image)[0] for row in table.rows}
    originals = [original.path for original in read_originals(found.folder).values()]
    return [path for name, path in found.paths.items() if name in names] + originals


def masks(data: FolderData) -> list[Path]:
    """The files in the folder of masks."""
    place = masks_folder(data)
    return files_below(place) if place else []


def has_truth(data: FolderData) -> bool:
    """Whether there is a folder of masks."""
    return masks_folder(data) is not None


def _source(data: FolderData) -> Path:
    return data.root / (data.images if data.tags == CLASS_FOLDERS else data.tags)


def _read(data: FolderData) -> tuple[Photographs, TagTable]:
    if data.tags == CLASS_FOLDERS:
        found = Photographs(data.root / data.images)
        table = read_class_folders(found)
        if not table.rows and not table.faults:
            but = f", but {not_read(found.unread)}" if found.unread else ""
            raise TagsegError(f"{found.folder}: no folder of photographs in it{but}; put them there as CLASS/NAME.jpg")
        return found, table
    path = _source(data)
    if not path.is_file():
        raise TagsegError(
            f"{path}: no such file; a folder data set needs images/ and tags.csv (image,tags); set data.tags to "
            f"another table, or to {CLASS_FOLDERS} where the photographs lie in folders of classes"
        )
    table = read_tags(path, data.classes)
    return Photographs(data.root / data.images), table


def _find(photographs: Photographs, written: str) -> tuple[str, str]:
    """The path below the folder of the photograph that a table calls `written`, and ''; or `written` and its fault."""
    try:
        return photographs.find(written), ""
    except TagsegError as error:
        return written, str(error)


def _add(
    row: TagRow, photographs: Photographs, classes: list[str], checks: Checks, rows: dict[str, tuple[TagRow, Path]]
) -> None:
    """Add a row to `rows` by its image's id, unless that is left out. Raises TagsegError if the row has a fault."""
    where = f"{row.file}:{row.line}" if row.line else f"{row.file}"
    name, missing = _find(photographs, row.image)
    new = image_id(name)
    if checks.leaves_out(new, name, row.image):
        return
    if missing:
        raise TagsegError(f"{where}: {missing}")
    if photographs.is_made(name):
        raise TagsegError(
            f"{where}: image {row.image!r} is a picture that tagseg made, not a photograph; drop the line"
        )
    for tag in row.tags:
        if tag not in classes:
            close = difflib.get_close_matches(tag.lower(), {c.lower(): c for c in classes}, n=1, cutoff=0.75)
            meant = next((f"did you mean {c!r}?" for c in classes if close and c.lower() == close[0]), "")
            raise TagsegError(
                f"{where}: tag {tag!r} is not among the classes: {', '.join(classes)}; "
                f"{meant or 'fix the tag, or add it to data.classes'}"
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
    """Warn of what is valid, but may be a mistake."""
    alike: dict[str, str] = {}
    for name in classes:
        other = alike.setdefault(name.casefold(), name)
        if other != name:
            log.warning("classes %r and %r differ only in case, but are two classes", other, name)
    strange = sorted({row.split for row, _ in rows.values()} - set(SPLITS))
    if strange:
        log.warning("split %s: no target uses it; the workflow knows %s", ", ".join(strange), ", ".join(SPLITS))
