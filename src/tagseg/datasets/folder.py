"""An own folder: `images/`, `tags.csv` and, for evaluation only, `masks/`."""

from pathlib import Path

from tagseg.config import FolderData
from tagseg.datasets.images import image_size, photographs
from tagseg.datasets.index import BACKGROUND, ImageRecord, read_table
from tagseg.errors import TagsegError


def index(data: FolderData) -> tuple[list[str], list[ImageRecord]]:
    """Classes (without background) and records of `tags.csv`: columns image, tags, and perhaps split.

    `image` is a file name under `images/`, with or without its suffix; tags are separated by `;`; split is train
    where it is not given. Raises TagsegError naming file and line for a missing or doubled image, an unknown class, or
    an id that cannot be a file's name.
    """
    table = data.root / "tags.csv"
    if not table.is_file():
        raise TagsegError(f"{table}: no such file; an own folder needs images/ and tags.csv (image,tags)")
    by_name = {path.name: path for path in photographs(data.root / "images")}
    by_stem = {path.stem: path for path in by_name.values()}
    rows = _read(table)
    found = sorted({tag for _, _, tags, _ in rows for tag in tags})
    classes = data.classes or found
    if BACKGROUND in classes:
        raise TagsegError(f"{table}: {BACKGROUND!r} is every image's own class; take it out of the tags")
    records: dict[str, ImageRecord] = {}
    for line, name, tags, split in rows:
        path = by_name.get(name) or by_stem.get(name)
        if path is None:
            raise TagsegError(
                f"{table}:{line}: no image {name!r} under {data.root / 'images'}; add it or drop the line"
            )
        unknown = [tag for tag in tags if tag not in classes]
        if unknown:
            raise TagsegError(f"{table}:{line}: tag {unknown[0]!r} is not among the classes: {', '.join(classes)}")
        if path.stem in records:
            raise TagsegError(f"{table}:{line}: image {path.stem!r} was named before; keep one line for each image")
        width, height = image_size(path)
        records[path.stem] = ImageRecord(path.stem, split, path, width, height, tuple(tags))
    if not records:
        raise TagsegError(f"{table}: no images; add a line image,tags for each photograph")
    return list(classes), list(records.values())


def truth(data: FolderData, records: list[ImageRecord]) -> dict[str, Path]:
    """Masks by id, `masks/ID.png`, of the images that have one. Without a folder `masks/`, none."""
    masks = {record.id: data.root / "masks" / f"{record.id}.png" for record in records}
    return {image_id: path for image_id, path in masks.items() if path.is_file()}


def sources(data: FolderData) -> list[Path]:
    """The table of tags: a new index is made when it changes."""
    return [data.root / "tags.csv"]


def has_truth(data: FolderData) -> bool:
    """Whether there is a folder of masks."""
    return (data.root / "masks").is_dir()


def _read(table: Path) -> list[tuple[int, str, list[str], str]]:
    """(line, image, tags, split) of each row."""
    return [
        (
            line,
            row["image"].strip(),
            sorted({tag.strip() for tag in row["tags"].split(";") if tag.strip()}),
            row.get("split", "").strip() or "train",
        )
        for line, row in read_table(table, ["image", "tags"])
    ]
