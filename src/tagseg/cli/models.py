"""The command line on what a run left: a model on other photographs, as ONNX, and a run's results to look at."""

import sys
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from tagseg import config
from tagseg.cli.options import OWN, WRITTEN, Threads, command
from tagseg.commands.gathering import gather, lines_of
from tagseg.config import Crf
from tagseg.images.formats import unread_line

app = typer.Typer()

Model = Annotated[Path, typer.Argument(help="Segmentation model: results/NAME/segmentation/EXPERIMENT/model.pt")]


@command(app, panel=OWN)
def predict(
    model: Model,
    images: Annotated[
        list[str], typer.Argument(help="Photographs, folders of them, or - for a list on standard input")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to"), WRITTEN],
    smoothing: Annotated[config.CrfSettings, config.PREDICTION_CRF_KEYS],
    areas: config.RegionSettings,
    machine: config.InferenceMachine,
    crf: Annotated[
        Crf, typer.Option(help="Smooth with a dense CRF; higher_order: and regions, made on the fly")
    ] = "none",
    classes: Annotated[
        Optional[str],  # noqa: UP045 (typer)
        typer.Option(help="Known tags, for all photographs: only these classes (dog,person) and background may win"),
    ] = None,
    tags: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Known tags of each photograph: a table of image,tags, as of init"),
    ] = None,
    overlay: Annotated[bool, typer.Option(help="Also write NAME.overlay.jpg, the photograph under colours")] = True,
    scores: Annotated[bool, typer.Option(help="Also write NAME.npz, the network's scores, float16")] = False,
    skip_existing: Annotated[bool, typer.Option(help="Leave what the same command made before")] = False,
    threads: Threads = 1,
) -> None:
    """Label maps of any photographs, by a trained model."""
    listed = lines_of(sys.stdin) if "-" in images else []
    unread: list[str] = []
    photographs = gather(images, listed, output, unread)  # before what takes seconds to import
    from tagseg.commands import predict as stage

    results = stage.run(
        model, photographs, stage.Outputs(output, overlay, scores), smoothing, areas, machine,
        crf=crf, classes=classes, tags=tags, skip_existing=skip_existing, threads=threads, unread=unread,
    )  # fmt: skip
    failed = [result for result in results if result.failure]
    skipped = sum(result.skipped for result in results)
    done = len(results) - len(failed) - skipped
    others = f", {len(unread)} not read" if unread else ""
    counts = f"{done} done, {skipped} skipped, {len(failed)} failed{others}"
    typer.echo(f"{counts}; in {output}, see {output / stage.SUMMARY}")
    if unread:
        print(f"tagseg: {unread_line(unread)}", file=sys.stderr)
    for result in failed:
        print(f"tagseg: {result.photograph.path}: {result.failure}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


@command(app, panel=OWN)
def show(
    folder: Annotated[Path, typer.Argument(help="A results folder, such as results/shapes")],
    image: Annotated[list[str], typer.Option(help="Id of an image for the sheet; repeatable; default: a few")] = [],  # noqa: B006
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", "-o", help="Contact sheet to write, .png or .svg: images' way through the pipeline"),
        WRITTEN,
    ] = None,
) -> None:
    """The tables of a run, and a contact sheet of its images."""
    from tagseg.commands import show as stage

    typer.echo(stage.run(folder, image, output))


@command(app, panel=OWN)
def export(
    model: Model,
    onnx: Annotated[Path, typer.Option(help="ONNX file to write"), WRITTEN],
    input_type: Annotated[
        Literal["uint8", "float32"],
        typer.Option("--input", help="Type of the graph's input; RGB from 0 to 255 either way"),
    ] = "uint8",
    check: Annotated[
        list[Path], typer.Option(help="Photograph to check the file with; repeatable; default: three made images")
    ] = [],  # noqa: B006
    threads: Threads = 1,
) -> None:
    """A trained model as an ONNX file, checked against PyTorch."""
    from tagseg.commands import export as stage

    typer.echo(stage.run(model, onnx, check, input_type=input_type, threads=threads))
