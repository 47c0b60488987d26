"""Gather evaluations into one table."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pandas import DataFrame

from tagseg.errors import TagsegError
from tagseg.evaluation.result import Result
from tagseg.evaluation.tables import Published, ablation_table, masks_table, miou_table
from tagseg.store import write_text

Table = Literal["miou", "ablation", "masks"]


def run(table: Table, results: list[Path], output: Path, *, published: Published) -> None:
    """Write `miou.csv`, `ablation.csv` or `masks.csv` from evaluation results, in the order given."""
    make, needed = _TABLES[table]
    frame = make([_read(path, needed) for path in results], published)
    write_text(output, frame.to_csv(index=False, lineterminator="\n"))


def _read(path: Path, needed: set[str]) -> Result:
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


# How each table is made, and what its rows need to know of a result.
_TABLES: dict[Table, tuple[Callable[[list[Result], Published], DataFrame], set[str]]] = {
    "miou": (miou_table, {"experiment", "smoothing"}),
    "ablation": (ablation_table, {"experiment", "mask", "crf", "fov", "smoothing"}),
    "masks": (masks_table, {"prior", "crf", "split"}),
}
