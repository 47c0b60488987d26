"""Sort the paths in a command's arguments into those it writes and those it reads."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from tagseg.artifacts.outputs import Given
from tagseg.artifacts.shard_sets import shard_paths
from tagseg.config.arguments import WRITTEN


def paths_of(arguments: Iterable[tuple[str, Any, Any]]) -> tuple[list[Given], list[Given]]:
    """Paths to write, and all others that may be files, from (option, annotation, value) of each argument."""
    written: list[Given] = []
    read: list[Given] = []
    for option, annotation, value in arguments:
        declared = WRITTEN in get_args(annotation)
        for path in _candidates(value, declared):
            (written if declared else read).append(Given(path, option))
    return written, read


def _candidates(value: Any, declared: bool) -> Iterator[Path]:
    """The paths in a value: itself, the items of a list or dict, and keys of settings relative to their root."""
    if isinstance(value, BaseModel):
        root = getattr(value, "root", Path())
        for inner in dict(value).values():
            named = isinstance(inner, str | Path) and bool(str(inner)) and inner is not root
            yield from _candidates(str(root / inner) if named else inner, declared)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _candidates(inner, declared)
    elif isinstance(value, dict):
        yield from _candidates(list(value.values()), declared)
    elif isinstance(value, Path):
        yield from [value] if declared else shard_paths([value])
    elif isinstance(value, str) and value:
        yield from (path for path in shard_paths([Path(value)]) if _is_file(path))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # not a valid file name
        return False
