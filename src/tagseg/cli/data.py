"""The command line on data sets: for each kind of data its index, its truth, and masks made from annotations."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from tagseg.cli.options import STAGES, WRITTEN, Classes, Files, Output, Tags, command
from tagseg.config.data import DISK_KINDS, DiskData

app = typer.Typer()
index_app = typer.Typer(help="Index a data set: write tags.csv and classes.txt.", no_args_is_help=True)
truth_app = typer.Typer(
    help="Name the truth masks: write ground_truth.csv (for evaluation only).", no_args_is_help=True
)
render_app = typer.Typer(
    help="Draw truth masks that a data set has in another form than PNG (for evaluation only).", no_args_is_help=True
)
app.add_typer(index_app, name="index", rich_help_panel=STAGES)
app.add_typer(truth_app, name="ground-truth", rich_help_panel=STAGES)
app.add_typer(render_app, name="render-truth", rich_help_panel=STAGES)

Index = Annotated[Path, typer.Option(help="tags.csv that tagseg index wrote")]
RENDERED = ("voc", "coco", "youtube_objects")  # kinds whose truth may be in another form


def _register(kind: str, settings: type[DiskData]) -> None:
    """The subcommands of one kind of data; their options are the keys of `settings`."""

    def index(
        data: settings,  # type: ignore[valid-type]
        output: Output,
        classes_file: Annotated[Path, typer.Option(help="classes.txt to write"), WRITTEN],
        report: Annotated[
            Optional[Path],  # noqa: UP045 (typer)
            typer.Option(help="CSV of all that is wrong, to write; by default index_report.csv beside the output"),
            WRITTEN,
        ] = None,
        threads: Annotated[int, typer.Option(min=1, help="Threads that look at photographs")] = 1,
    ) -> None:
        from tagseg.stages import index as stage

        stage.run(data, output, classes_file, report=report, threads=threads)

    def ground_truth(
        data: settings,  # type: ignore[valid-type]
        index: Index,
        output: Output,
        rendered: Annotated[Optional[Path], typer.Option(help="Folder that tagseg render-truth wrote")] = None,  # noqa: UP045
        classes_file: Annotated[
            Optional[Path],  # noqa: UP045
            typer.Option(help="classes.txt; by default that beside the index"),
        ] = None,
    ) -> None:
        from tagseg.stages import ground_truth as stage

        stage.run(data, index, output, rendered=rendered, classes=classes_file)

    def render_truth(
        data: settings,  # type: ignore[valid-type]
        index: Index,
        output: Annotated[Path, typer.Option("--output", "-o", help="Folder of masks to write"), WRITTEN],
    ) -> None:
        from tagseg.stages import render_truth as stage

        stage.run(data, index, output)

    what = settings.__doc__
    index.__doc__ = f"Index: {what}"
    ground_truth.__doc__ = f"Truth masks: {what}"
    render_truth.__doc__ = f"Draw truth masks: {what}"
    command(index_app, kind)(index)
    command(truth_app, kind)(ground_truth)
    if kind in RENDERED:
        command(render_app, kind)(render_truth)


for _kind, _settings in DISK_KINDS.items():
    _register(_kind, _settings)


@command(app)
def download_voc(
    folder: Annotated[Path, typer.Option(help="Folder for the archives, VOCdevkit/ and benchmark_RELEASE/"), WRITTEN],
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", "-o", help="File to write when all is there"),
        WRITTEN,
    ] = None,
) -> None:
    """Fetch VOC 2012 and SBD (3.4 GB), check their sums, and unpack them; goes on after a break."""
    from tagseg.stages import download_voc as stage

    stage.run(folder, output)


@command(app)
def submission(
    labels: Files,
    tags: Tags,
    classes: Classes,
    output: Output,
    split: Annotated[str, typer.Option(help="Split whose predictions are packed")] = "test",
) -> None:
    """Pack predictions as the archive that VOC's evaluation server takes, and check it."""
    from tagseg.stages import submission as stage

    stage.run(labels, tags, classes, output, split=split)


@command(app)
def check_submission(
    file: Annotated[Path, typer.Argument(help="The .tar.gz")],
    tags: Tags,
    split: Annotated[str, typer.Option(help="Split that it is of")] = "test",
) -> None:
    """Prove that an archive is as VOC's evaluation server wants it: names, mode, palette, sizes, values."""
    from tagseg.stages import check_submission as stage

    typer.echo(stage.run(file, tags, split=split))
