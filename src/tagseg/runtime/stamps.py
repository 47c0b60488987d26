"""What results depend on besides the keys: the stamps of images, and what a network is. With others they are anew."""

from collections.abc import Iterable
from typing import Any

from tagseg.config.networks import BackboneSettings
from tagseg.datasets.digests import content_digest
from tagseg.datasets.index import ImageRecord
from tagseg.errors import TagsegError
from tagseg.networks.sources import no_such_file


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


def network_facts(network: BackboneSettings) -> dict[str, Any]:
    """The network that a result was computed with, to store beside it: its keys, and the digest of a weight file.

    The name of published weights identifies them, while a user's file can be replaced by another of the same name.
    Raises TagsegError if that file is missing.
    """
    file = network.weight_file
    if file is None:
        return network.model_dump()
    if not file.is_file():
        raise TagsegError(no_such_file(file))
    return network.model_dump() | {"weights_digest": content_digest(file)}
