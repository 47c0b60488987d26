"""The tables of a run as text, for people."""

from pathlib import Path

import pandas as pd

from tagseg.errors import TagsegError


def run(folder: Path, *, needed: bool = True) -> str:
    """Headline, ablation and mask tables of a results folder, those that exist, and where its pictures are.

    Raises TagsegError if there is no such folder, or no table in it and one is `needed`.
    """
    if not folder.is_dir():
        raise TagsegError(f"{folder}: no such folder; give a results folder, such as results/shapes")
    tables = [folder / f"{name}.csv" for name in ("miou", "ablation", "masks")]
    found = [path for path in tables if path.is_file()]
    if not found and needed:
        raise TagsegError(f"{folder}: no miou.csv, ablation.csv or masks.csv in it; make one (snakemake {tables[0]})")
    parts = []
    for path in found:
        frame = pd.read_csv(path)
        parts.append(f"{path} (IoU in percent)\n{frame.to_string(index=False, na_rep='', float_format='%.1f')}\n")
    pictures = sorted(folder.glob("*.png"))
    parts += [f"picture: {path}" for path in pictures]
    figures = sorted(path.stem for path in (folder / "figures").glob("*.png"))
    if figures:
        parts.append(f"figures, PNG and SVG, in {folder / 'figures'}: {', '.join(figures)}")
    if (folder / "summary.html").is_file():
        parts.append(f"page: {folder / 'summary.html'}")
    return "\n".join(parts)
