"""The command line for own photographs: from a folder and a list of tags to masks and a run."""

import os
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from tagseg.cli.options import OWN, WRITTEN, command
from tagseg.commands.project import LIGHT, PAPER_BACKBONE, Recipe
from tagseg.config import Crf, Prior
from tagseg.config.names import plain, unquoted
from tagseg.datasets.index import BACKGROUND
from tagseg.datasets.texts import read_text

app = typer.Typer()

Project = Annotated[Path, typer.Argument(help="Folder of the project")]
Cores = Annotated[int, typer.Option(min=1, help="Cores to use; all of this machine, if not given")]
_CORES = os.cpu_count() or 1
_LISTS = (".txt", ".csv", ".names")  # of a file of classes: a misspelt path is no name of a class


@command(app, panel=OWN)
def init(
    project: Annotated[Path, typer.Argument(help="Folder of the project"), WRITTEN],
    images: Annotated[Path, typer.Option(help="Folder of photographs, in folders of any depth")],
    tags: Annotated[
        str, typer.Option(help="Table of tags: .csv, .tsv, .json, .xlsx; or folders: folders are called like the class")
    ],
    masks: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder of masks of some photographs, to evaluate on; these are not trained on"),
    ] = None,
    classes: Annotated[
        str, typer.Option(help="All classes in the order of their labels, a,b,c or a file with one a line; for --masks")
    ] = "",
    foreground: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Of black and white --masks: the value of white, 255; 0: they hold labels"),
    ] = 0,
    backbone: Annotated[
        str, typer.Option(help=f"Pre-trained network, docs/backbones.md; not given: {LIGHT}, or the recipe's")
    ] = "",
    recipe: Annotated[
        Recipe, typer.Option(help="best: what measured best; paper: the paper's choices in every stage, for a GPU")
    ] = "best",
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where networks will run; auto: a GPU if there is one")
    ] = "auto",
    longest_side: Annotated[
        int, typer.Option(min=0, help="Work on copies of at most this many pixels if a photograph is longer; 0: never")
    ] = 640,
    cores: Cores = _CORES,
    leave_out_faulty: Annotated[bool, typer.Option(help="Leave out what is broken, and say what")] = False,
) -> None:
    """Look at photographs and tags, and write a configuration fitted to them."""
    from tagseg.commands import init as stage
    from tagseg.runtime.device import has_gpu

    place: Literal["cpu", "cuda"] = ("cuda" if has_gpu() else "cpu") if device == "auto" else device
    typer.echo(
        stage.run(
            project, images, tags, masks, _names(classes), foreground=foreground,
            backbone=backbone or (PAPER_BACKBONE if recipe == "paper" else LIGHT), recipe=recipe, device=place,
            longest_side=longest_side, cores=cores, leave_out_faulty=leave_out_faulty,
        )
    )  # fmt: skip


def _names(classes: str) -> list[str]:
    """Names joined by commas, or the lines of a file; a first `background` is every list's own."""
    if Path(classes).suffix in _LISTS or os.path.isfile(classes):  # noqa: PTH113 (a list may be too long for a path)
        text = read_text(Path(classes))
    else:
        text = classes.replace(",", "\n")
    names = [name for line in text.splitlines() if (name := unquoted(plain(line)))]
    return names[1:] if names[:1] == [BACKGROUND] else names


@command(app, panel=OWN)
def masks(
    project: Project,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", "-o", help="Folder to copy the masks to, at the photographs' original sizes"),
        WRITTEN,
    ] = None,
    prior: Annotated[
        Prior, typer.Option(help="What they are made of: class masks, or fgbg: any foreground")
    ] = "multiclass",
    crf: Annotated[Crf, typer.Option(help="How they are smoothed")] = "higher_order",
    layout: Annotated[
        Literal["plain", "voc"],
        typer.Option(help="Of the copy. voc: a devkit's folders, for torchvision and mmsegmentation"),
    ] = "plain",
    cores: Cores = _CORES,
) -> None:
    """Make the masks of a project's photographs, and a sheet of them; run again, it goes on where it was."""
    from tagseg.commands import masks as stage

    typer.echo(stage.run(project, output, prior=prior, crf=crf, layout=layout, cores=cores))
