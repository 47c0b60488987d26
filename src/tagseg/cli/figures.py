"""The command line's third part: the paper's figures, and the page that a report opens with."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tagseg import config
from tagseg.cli.options import (
    STAGES,
    WRITTEN,
    Classes,
    Files,
    GroundTruth,
    Output,
    Tags,
    Threads,
    command,
    grouped,
    pair,
)

app = typer.Typer()
figure_app = typer.Typer(help="Draw one of the paper's figures; PNG and SVG by suffix.", no_args_is_help=True)
app.add_typer(figure_app, name="figure", rich_help_panel=STAGES)

Outputs = Annotated[list[Path], typer.Option("--output", "-o", help="File to write, .png or .svg; repeatable"), WRITTEN]
Split = Annotated[str, typer.Option(help="Split to show")]
Count = Annotated[int, typer.Option(min=1, help="Images")]
Title = Annotated[str, typer.Option(help="Over the figure")]


@command(figure_app)
def foreground(
    tags: Tags,
    ground_truth: GroundTruth,
    priors: Annotated[list[Path], typer.Option(help="Shards of the fgbg prior; repeatable")],
    masks: Annotated[list[Path], typer.Option(help="Shards of fgbg masks; repeatable")],
    output: Outputs,
    network: config.BackboneSettings,
    looks: config.ViewSettings,
    machine: config.InferenceMachine,
    split: Split = "val",
    count: Count = 6,
    threads: Threads = 1,
) -> None:
    """Fig. 3: activations of conv1 to conv5 (the network is run), their fusion, mask, truth."""
    from tagseg.stages import figure_foreground as stage

    stage.run(
        tags, ground_truth, priors, masks, output, network, looks, machine, split=split, count=count, threads=threads
    )


@command(figure_app)
def cams(
    tags: Tags,
    classes: Classes,
    ground_truth: GroundTruth,
    cams: Files,
    masks: Annotated[list[Path], typer.Option(help="Shards of localization masks; multiclass for Fig. 5; repeatable")],
    output: Outputs,
    foreground: Annotated[list[Path], typer.Option(help="Fig. 5: shards of the fgbg prior; repeatable")] = [],  # noqa: B006 (typer reads the default, nothing writes to it)
    fused: Annotated[list[Path], typer.Option(help="Fig. 5: shards of the multiclass prior; repeatable")] = [],  # noqa: B006
    split: Split = "val",
    count: Count = 4,
) -> None:
    """Fig. 4: class activation maps; with --foreground and --fused Fig. 5: their fusion."""
    from tagseg.stages import figure_cams as stage

    stage.run(
        tags, classes, ground_truth, cams, masks, output, foreground=foreground, fused=fused, split=split, count=count
    )  # fmt: skip


@command(figure_app)
def ranked(
    rank: Annotated[Literal["best", "median", "worst"], typer.Option(help="Which images")],
    tags: Tags,
    classes: Classes,
    ground_truth: GroundTruth,
    score: Annotated[list[str], typer.Option(help="NAME=FILE of tagseg evaluate --per-image; one an experiment")],
    prediction: Annotated[list[str], typer.Option(help="NAME=SHARD; repeat for each experiment and shard")],
    output: Outputs,
    split: Split = "val",
    count: Count = 6,
) -> None:
    """Figs. 6 to 8: best, median and worst images of a run, all experiments side by side."""
    from tagseg.stages import figure_ranked as stage

    scores = {name: Path(path) for name, path in (pair(item, "--score") for item in score)}
    stage.run(
        rank, tags, classes, ground_truth, scores, grouped(prediction, "--prediction"), output, split=split, count=count
    )  # fmt: skip


@command(figure_app)
def average(
    tags: Tags, classes: Classes, ground_truth: GroundTruth, cams: Files, output: Outputs, split: Split = "val"
) -> None:
    """Fig. 9: average localization map of each class against its average truth."""
    from tagseg.stages import figure_average as stage

    stage.run(tags, classes, ground_truth, cams, output, split=split)


@command(figure_app)
def trimap(
    table: Annotated[Path, typer.Option(help="trimap.csv")],
    output: Outputs,
    title: Title = "accuracy beside boundaries",
) -> None:
    """Fig. 10: accuracy against the width of a band around boundaries."""
    from tagseg.stages import figure_trimap as stage

    stage.run(table, output, title=title)


@command(figure_app)
def confusion(
    result: Annotated[Path, typer.Option(help="File that tagseg evaluate wrote")],
    output: Outputs,
    title: Title = "confusion in percent",
) -> None:
    """Fig. 11: confusion matrix, rows normalised."""
    from tagseg.stages import figure_confusion as stage

    stage.run(result, output, title=title)


@command(figure_app)
def per_class(
    table: Annotated[Path, typer.Option(help="miou.csv")], classes: Classes, output: Outputs, title: Title = "IoU"
) -> None:
    """IoU of each class beside the published."""
    from tagseg.stages import figure_per_class as stage

    stage.run(table, classes, output, title=title)


@command(app)
def summary(
    miou: Annotated[Path, typer.Option(help="miou.csv")],
    output: Output,
    table: Annotated[list[Path], typer.Option(help="Further table; repeatable")] = [],  # noqa: B006
    picture: Annotated[list[Path], typer.Option(help="PNG to show; repeatable")] = [],  # noqa: B006
    title: Annotated[str, typer.Option(help="Over the page")] = "tagseg",
) -> None:
    """One HTML page with the headline table and pictures, all in one file."""
    from tagseg.stages import summary as stage

    stage.run(miou, table, picture, output, title=title)
