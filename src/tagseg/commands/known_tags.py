"""Known tags: the classes that may win in a photograph, if the user knows them."""

import difflib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tagseg.commands.gathering import Photograph
from tagseg.config.names import nfc, plain
from tagseg.datasets.folder_names import image_id, spellings
from tagseg.datasets.index import BACKGROUND
from tagseg.datasets.tag_tables import TagRow, read_tags
from tagseg.errors import TagsegError

Labels = list[int]


def allowed_labels(
    classes: str | None, tags: Path | None, names: list[str], photographs: Sequence[Photograph]
) -> Callable[[Photograph], Labels]:
    """A function that gives the labels that may win in a photograph, in ascending order, background first.

    `classes`: names separated by commas, for all photographs; `tags`: a table of the tags of each of `photographs`, in
    any form that `read_tags` takes; neither: all classes of the model, `names`. Raises TagsegError if both are given,
    for a class that the model does not know, for what is wrong with the table, and for a row that fits several
    photographs. The function raises it for a photograph that is not in the table.
    """
    if classes is not None and tags is not None:
        raise TagsegError("--classes and --tags: give one of them; --classes is for all photographs alike")
    if tags is not None:
        return _of_table(tags, names, photographs)
    if classes is None:
        everything = list(range(len(names)))
        return lambda photograph: everything
    chosen = _labels(classes.split(","), names, "--classes")
    return lambda photograph: chosen


def _of_table(path: Path, names: list[str], photographs: Sequence[Photograph]) -> Callable[[Photograph], Labels]:
    """The labels from a table whose rows name photographs in one of the forms of `_forms`."""
    rows, labels = _rows(path, names)
    found: dict[Photograph, TagRow] = {}
    for photograph in photographs:
        row = next((rows[name] for name in _forms(photograph) if name in rows), None)
        if row:
            found[photograph] = row
    uses = Counter(found.values())
    for photograph, row in found.items():
        if uses[row] > 1:
            other = next(one for one, its in found.items() if its is row and one != photograph)
            raise TagsegError(
                f"{path}:{row.line}: image {row.image!r} may be {photograph.path} or {other.path}; write its whole path"
            )

    def of(photograph: Photograph) -> Labels:
        if photograph not in found:
            raise TagsegError(f"{photograph.path}: no line of {path} names it; add one with its tags")
        return labels[found[photograph]]

    return of


def _rows(path: Path, names: list[str]) -> tuple[dict[str, TagRow], dict[TagRow, Labels]]:
    """Rows of a table by each spelling of their image, the literal one first, and the labels of each row."""
    table = read_tags(path, [plain(name) for name in names], anywhere=True)
    if table.faults:
        more = len(table.faults) - 1
        raise TagsegError(f"{table.faults[0]}{f' (and {more} more)' if more else ''}")
    labels = {row: _labels(row.tags, names, f"{path}:{row.line}") for row in table.rows}
    rows: dict[str, TagRow] = {}
    for row in table.rows:
        first = rows.setdefault(nfc(row.image), row)
        if first.tags != row.tags:
            raise TagsegError(
                f"{path}:{row.line}: image {row.image!r} has other tags in line {first.line}; keep one of them"
            )
    for row in table.rows:
        names = spellings(row.image)
        for name in [*names, nfc(os.path.abspath(names[-1])), *map(plain, names)]:  # noqa: PTH100 (links stay)
            rows.setdefault(name, row)
    return rows, labels


def _forms(photograph: Photograph) -> list[str]:
    """The names of a photograph in a row, most specific first: path, path from its folder on or below it, id, name."""
    below = Path(photograph.below)
    whole = Path(os.path.abspath(photograph.path))  # noqa: PTH100 (links stay)
    parent = whole.parents[len(below.parts) - 1].name
    paths = [photograph.path, whole, Path(parent) / below, below]
    forms = [form for path in paths for form in (path.as_posix(), path.with_suffix("").as_posix())]
    forms += [image_id(photograph.below), photograph.path.name, photograph.path.stem]
    literal = [nfc(form) for form in forms]
    return [*literal, *map(plain, literal)]


def _labels(tags: Sequence[str], names: list[str], where: str) -> Labels:
    """Labels of the tags, and background. Raises TagsegError beginning with `where` for a tag not in `names`."""
    known = [plain(name) for name in names]
    wanted = {plain(tag) for tag in tags} - {"", BACKGROUND}
    for tag in sorted(wanted - set(known)):
        close = difflib.get_close_matches(tag, known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"it knows {', '.join(known[1:])}"
        raise TagsegError(f"{where}: the model knows no class {tag!r}; {hint}")
    return [0, *(label for label, name in enumerate(known) if label and name in wanted)]
