"""What each image's results depend on, beside settings and inputs that all have in common."""

from collections.abc import Iterable

from tagseg.datasets.index import ImageRecord


def stamps(records: Iterable[ImageRecord]) -> dict[str, str]:
    """By id, in the records' order: the row of `tags.csv`, size and time of the photograph's file.

    A photograph that was replaced, or an image with other tags, has another stamp. A photograph that is not there has
    one, too: the stage that reads it says so.
    """
    return {record.id: f"{record!r} {_file(record)}" for record in records}


def _file(record: ImageRecord) -> str:
    try:
        found = record.path.stat()
    except OSError:
        return "no file"
    return f"{found.st_size} {found.st_mtime_ns}"
