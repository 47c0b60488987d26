"""Gather evaluations into one table."""

from pathlib import Path
from typing import Literal

from tagseg.evaluation.result import Result
from tagseg.evaluation.tables import Published, ablation_table, masks_table, miou_table
from tagseg.store import write_text

Table = Literal["miou", "ablation", "masks"]


def run(table: Table, results: list[Path], output: Path, *, published: Published) -> None:
    """Write `miou.csv`, `ablation.csv` or `masks.csv` from evaluation results, in the order given."""
    read = [Result.from_json(path.read_text(encoding="utf-8")) for path in results]
    make = {"miou": miou_table, "ablation": ablation_table, "masks": masks_table}[table]
    frame = make(read, published)
    write_text(output, frame.to_csv(index=False, lineterminator="\n"))
