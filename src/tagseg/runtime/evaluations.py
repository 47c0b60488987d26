"""Compare label maps with truth masks, and read the results of tagseg evaluate."""

from pathlib import Path

import numpy as np

from tagseg.errors import TagsegError
from tagseg.evaluation.confusion import ConfusionMatrix
from tagseg.evaluation.result import Result


def compare(truth: np.ndarray, predicted: np.ndarray, classes: int, mask: Path) -> ConfusionMatrix:
    """Confusion matrix (classes x classes) of one label map (H, W) against its truth (H, W), 255 = ignored.

    Raises TagsegError naming the file `mask` if the truth has another size, or labels outside the classes.
    """
    matrix = ConfusionMatrix(classes)
    try:
        matrix.update(truth, predicted)
    except ValueError as error:
        raise TagsegError(f"{mask}: {error}; fix the mask, or take it out") from None
    return matrix


def read_result(path: Path, needed: frozenset[str] = frozenset()) -> Result:
    """The result in a file that tagseg evaluate wrote.

    Raises TagsegError if the file is missing, is no such result, or lacks one of the facts `needed`.
    """
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
