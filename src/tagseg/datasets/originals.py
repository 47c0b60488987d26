"""`originals.csv` beside a project's working copies: the photograph that each is of, and whether that has changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tagseg.artifacts.atomic import write_text
from tagseg.artifacts.file_types import file_type
from tagseg.datasets.digests import content_digest
from tagseg.datasets.index import csv_text, read_table
from tagseg.errors import TagsegError
from tagseg.images.formats import COPIES, ORIGINALS


@dataclass(frozen=True)
class Original:
    """The photograph that a working copy is of: its file, its width and height in pixels, a digest of its content.

    The digest is '' in a table that an earlier version wrote.
    """

    path: Path
    width: int
    height: int
    digest: str

    def require_unchanged(self) -> None:
        """Raise TagsegError if the photograph is another one now. It may be gone: the copy is there."""
        if self.digest and self.path.is_file() and content_digest(self.path) != self.digest:
            raise TagsegError(
                f"{self.path}: has changed since its working copy was made; remove the project's config.yaml, and make "
                "the project again (tagseg init)"
            )


def read_originals(images: Path) -> dict[str, Original]:
    """The originals of the working copies in the folder `images`, by id; none for a folder of photographs."""
    table = images.parent / ORIGINALS
    if images.parent.name != COPIES or file_type(table) != "originals":
        return {}
    project = images.parent.parent
    return {
        row["id"]: Original(project / row["original"], int(row["width"]), int(row["height"]), row.get("digest", ""))
        for _, row in read_table(table, ["id", "original", "width", "height"])
    }


def write_originals(copies: Path, rows: Iterable[tuple[str, str, int, int, Path]]) -> None:
    """Write the table of the folder `copies`: id, path from the project on, width and height, and the file itself."""
    lines = [[name, path, width, height, content_digest(file)] for name, path, width, height, file in rows]
    write_text(copies / ORIGINALS, csv_text(["id", "original", "width", "height", "digest"], lines))
