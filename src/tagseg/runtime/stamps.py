"""Stamps of images: with another stamp, an image's results are computed anew."""

from collections.abc import Iterable

from tagseg.datasets.index import ImageRecord


def stamps(records: Iterable[ImageRecord]) -> dict[str, str]:
    """Stamps by id, in the records' order: the row of `tags.csv`, and size and modification time of the file.

    An image whose photograph was replaced or whose tags changed has another stamp. One whose photograph is missing has
    a stamp, too: the stage that reads the photograph reports it.
    """
    return {record.id: f"{record!r} {_file(record)}" for record in records}


def _file(record: ImageRecord) -> str:
    try:
        found = record.path.stat()
    except OSError:
        return "no file"
    return f"{found.st_size} {found.st_mtime_ns}"
