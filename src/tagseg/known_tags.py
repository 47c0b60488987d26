"""Known tags: which classes may win in a photograph, where a user knows them."""

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path

from tagseg.datasets.index import BACKGROUND, read_table
from tagseg.errors import TagsegError
from tagseg.gathering import Photograph

Labels = list[int]


def allowed_labels(classes: str | None, tags: Path | None, names: list[str]) -> Callable[[Photograph], Labels]:
    """A function that gives the labels that may win in a photograph, ascending, background first.

    `classes`: names separated by commas, for all photographs; `tags`: a table of the tags of each; neither: all of the
    model's, `names`. Raises TagsegError for a class that the model does not know, if both are given, and for a
    photograph that is not in the table.
    """
    if classes is not None and tags is not None:
        raise TagsegError("--classes and --tags: give one of them; --classes is for all photographs alike")
    if tags is not None:
        return _Table(tags, names)
    if classes is None:
        everything = list(range(len(names)))
        return lambda photograph: everything
    chosen = _labels(classes.split(","), names, "--classes")
    return lambda photograph: chosen


class _Table:
    """`tags.csv` with a column image (or id) and a column tags, separated by `;`.

    A row may name a photograph by its path, its path below the folder, or its file's name, each with or without suffix;
    the first of these that has a row counts.
    """

    def __init__(self, path: Path, names: list[str]):
        self._path = path
        self._rows: dict[str, Labels] = {}
        rows = read_table(path, ["tags"])
        column = "image" if rows and "image" in rows[0][1] else "id"
        if rows and column not in rows[0][1]:
            raise TagsegError(f"{path}:1: the header lacks image; it needs image,tags")
        for line, row in rows:
            key, labels = row[column].strip(), _labels(row["tags"].split(";"), names, f"{path}:{line}")
            if self._rows.setdefault(key, labels) != labels:
                raise TagsegError(f"{path}:{line}: image {key!r} has other tags in a line before; keep one of them")

    def __call__(self, photograph: Photograph) -> Labels:
        for key in (photograph.path, Path(photograph.below), Path(photograph.path.name)):
            for form in (key.as_posix(), key.with_suffix("").as_posix()):
                if form in self._rows:
                    return self._rows[form]
        raise TagsegError(f"{photograph.path}: no line of {self._path} names it; add one with its tags")


def _labels(tags: Sequence[str], names: list[str], where: str) -> Labels:
    """Labels of the tags and background. Raises TagsegError that begins with `where` for a tag not in `names`."""
    wanted = {tag.strip() for tag in tags} - {"", BACKGROUND}
    for tag in sorted(wanted - set(names)):
        close = difflib.get_close_matches(tag, names, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"it knows {', '.join(names[1:])}"
        raise TagsegError(f"{where}: the model knows no class {tag!r}; {hint}")
    return [0, *(label for label, name in enumerate(names) if label and name in wanted)]
