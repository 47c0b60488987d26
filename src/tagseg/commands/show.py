"""Show the tables of a run as text, and draw a contact sheet."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field

from tagseg.config.arguments import POSITIONAL, WRITTEN, Named
from tagseg.errors import TagsegError


def run(
    folder: Annotated[Path, POSITIONAL, Field(description="A results folder, such as results/shapes")],
    images: Annotated[
        Sequence[str], Named("image"), Field(description="Id of an image for the sheet; repeatable; default: a few")
    ] = (),
    sheet: Annotated[
        Path | None,
        WRITTEN,
        Named("output"),
        Field(description="Contact sheet to write, .png or .svg: images' way through the pipeline"),
    ] = None,
) -> str:
    """Show the tables of a run, and draw a contact sheet of its images.

    The headline, ablation and mask tables of a results folder are shown, those that exist, and where its pictures are.
    The sheet is drawn if `sheet` is given, of the images of these ids or of a few. Raises TagsegError if there is no
    such folder, if images are named but no sheet, or if there is no table and no sheet is asked for.
    """
    if images and sheet is None:
        raise TagsegError("--image is for the contact sheet: say where to write it (-o sheet.png)")
    if not folder.is_dir():
        raise TagsegError(f"{folder}: no such folder; give a results folder, such as results/shapes")
    tables = [folder / f"{name}.csv" for name in ("miou", "ablation", "masks")]
    found = [path for path in tables if path.is_file()]
    if not found and sheet is None:
        raise TagsegError(
            f"{folder}: no miou.csv, ablation.csv or masks.csv in it; "
            f"make one (snakemake {shlex.quote(str(tables[0]))})"
        )
    parts = []
    for path in found:
        try:
            frame = pd.read_csv(path)
        except ValueError as error:
            raise TagsegError(f"{path}: not a table ({' '.join(str(error).split())}); make it again") from None
        parts.append(f"{path} (IoU in percent)\n{frame.to_string(index=False, na_rep='', float_format='%.1f')}\n")
    pictures = sorted(folder.glob("*.png"))
    parts += [f"picture: {path}" for path in pictures]
    figures = sorted(path.stem for path in (folder / "figures").glob("*.png"))
    if figures:
        parts.append(f"figures, PNG and SVG, in {folder / 'figures'}: {', '.join(figures)}")
    if (folder / "summary.html").is_file():
        parts.append(f"page: {folder / 'summary.html'}")
    if sheet is not None:
        from tagseg.commands.sheet import draw_sheet  # here: it loads matplotlib, and tables do without

        parts.append(draw_sheet(folder, images, sheet))
    return "\n".join(parts)
