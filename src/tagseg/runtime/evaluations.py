"""Evaluation results as files."""

from pathlib import Path

from tagseg.errors import TagsegError
from tagseg.evaluation.result import Result


def read_result(path: Path, needed: frozenset[str] = frozenset()) -> Result:
    """A file that tagseg evaluate wrote. Raises TagsegError if it is none, or does not say the facts `needed`."""
    if not path.is_file():
        raise TagsegError(f"{path}: no such file; evaluate first (tagseg evaluate --help)")
    try:
        result = Result.from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TagsegError(f"{path}: not a result of tagseg evaluate ({error}); evaluate again") from None
    missing = sorted(needed - set(result.facts))
    if missing:
        raise TagsegError(f"{path}: does not say its {', '.join(missing)}; evaluate again with --fact {missing[0]}=...")
    return result
