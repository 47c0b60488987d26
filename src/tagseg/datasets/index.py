"""Read and write the index of a data set: `tags.csv`, `classes.txt` and `ground_truth.csv`.

`tags.csv` is all that training stages know of a data set. Truth masks are listed in `ground_truth.csv` alone, which
only evaluation reads.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tagseg.artifacts.atomic import write_text
from tagseg.config.names import plain
from tagseg.datasets.digests import content_digest
from tagseg.errors import TagsegError
from tagseg.images.mask_values import Foreground

BACKGROUND = "background"
BACKGROUNDS = (BACKGROUND, "_background_")  # as annotation tools call it
_COLUMNS = ["id", "split", "path", "width", "height", "tags"]


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One row of `tags.csv`: width and height in pixels as displayed, tags as class names without background."""

    id: str
    split: str
    path: Path
    width: int
    height: int
    tags: tuple[str, ...]
    digest: str = field(default="", compare=False)  # of the content, so that a replaced photograph changes the index


def write_index(path: Path, records: Iterable[ImageRecord]) -> None:
    """Write `tags.csv`."""
    rows = [[r.id, r.split, r.path, r.width, r.height, ";".join(r.tags), r.digest] for r in records]
    write_text(path, csv_text([*_COLUMNS, "digest"], rows))


def read_index(path: Path, split: str | None = None) -> list[ImageRecord]:
    """Read `tags.csv`, all rows or those of one split. Raises TagsegError naming file and line of what is wrong."""
    records = []
    for line, row in _rows(path, _COLUMNS):
        if split is not None and row["split"] != split:
            continue
        try:
            width, height = int(row["width"]), int(row["height"])
        except ValueError:
            raise TagsegError(
                f"{path}:{line}: width and height must be whole numbers; index the data set again"
            ) from None
        tags = tuple(plain(tag) for tag in row["tags"].split(";") if tag)
        digest = row.get("digest", "")
        records.append(ImageRecord(row["id"], row["split"], Path(row["path"]), width, height, tags, digest))
    return records


def in_shard(records: list[ImageRecord], shard: int, shards: int) -> list[ImageRecord]:
    """Images i with i mod `shards` = `shard`, in the order of `tags.csv`."""
    return records[shard::shards]


def evenly(records: Sequence[ImageRecord], count: int) -> list[ImageRecord]:
    """`count` of the records, spread evenly over their list; all if there are fewer."""
    if not records:
        return []
    indices = np.unique(np.linspace(0, len(records) - 1, count).round().astype(int))
    return [records[i] for i in indices]


def write_ground_truth(path: Path, masks: dict[str, Path], foregrounds: Mapping[str, Foreground] | None = None) -> None:
    """Write `ground_truth.csv`: the mask's path by id, and a digest of its content, so that a replaced mask shows.

    `foregrounds` gives the meaning of masks with two values; the others hold labels.
    """
    of = foregrounds or {}
    rows = [[i, mask, content_digest(mask) if mask.is_file() else "", of.get(i, "")] for i, mask in masks.items()]
    write_text(path, csv_text(["id", "mask", "digest", "foreground"], rows))


def read_ground_truth(path: Path) -> dict[str, Path]:
    """Read `ground_truth.csv`: paths of masks by id. Raises TagsegError if it is missing or lacks a column."""
    return {row["id"]: Path(row["mask"]) for _, row in _rows(path, ["id", "mask"])}


def read_foregrounds(path: Path) -> dict[str, Foreground]:
    """The meaning of masks with two values in `ground_truth.csv`, by id. Raises TagsegError naming file and line."""
    found = {}
    for line, row in _rows(path, ["id", "mask"]):
        if row.get("foreground"):
            try:
                found[row["id"]] = Foreground.parse(row["foreground"])
            except ValueError:
                raise TagsegError(
                    f"{path}:{line}: foreground {row['foreground']!r} is not VALUE:LABEL; make the file again "
                    "(tagseg ground-truth)"
                ) from None
    return found


def write_classes(path: Path, names: Iterable[str]) -> None:
    """Write `classes.txt`: one name per line in the order of the labels, with background (label 0) first."""
    write_text(path, "".join(f"{name}\n" for name in [BACKGROUND, *names]))


def read_classes(path: Path) -> list[str]:
    """Class names by label, background first."""
    return [plain(name) for name in read_utf8(path).splitlines()]


def read_utf8(path: Path) -> str:
    """The text of a file. Raises TagsegError if it is missing, or naming the line that is not UTF-8."""
    if not path.is_file():
        raise TagsegError(f"{path}: no such file; index the data set first (tagseg index --help)")
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TagsegError(f"{path}:{line}: not UTF-8 text; save it as UTF-8") from None


def labels_of(tags: Iterable[str], classes: list[str]) -> list[int]:
    """Labels of the background (0) and of an image's tags, ascending. Raises TagsegError for an unknown tag."""
    try:
        return [0, *sorted(classes.index(tag) for tag in tags)]
    except ValueError as error:
        raise TagsegError(
            f"tag {str(error).split(' is not')[0]} is not among the classes: {', '.join(classes)}; use the classes.txt "
            "that was written together with tags.csv"
        ) from None


def csv_text(columns: list[str], rows: Iterable[Iterable[object]]) -> str:
    """The text of a CSV file with a header and rows; lines end in a line feed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def read_table(path: Path, columns: list[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV file with their line numbers. Raises TagsegError for a missing column or another encoding."""
    return list(_rows(path, columns))


def _rows(path: Path, columns: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The same as an iterator, which does not hold a hundred thousand rows at once."""
    reader = csv.DictReader(io.StringIO(read_utf8(path), newline=""))
    missing = [column for column in columns if column not in (reader.fieldnames or [])]
    if missing:
        raise TagsegError(f"{path}:1: the header lacks {', '.join(missing)}; it needs {','.join(columns)}")
    for row in reader:
        yield reader.line_num, {key: value or "" for key, value in row.items() if key}
