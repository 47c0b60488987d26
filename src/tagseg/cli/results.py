"""The command line's second half: from label maps to tables and pictures."""

from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from tagseg import config
from tagseg.cli.options import WRITTEN, Classes, Files, GroundTruth, OneSplit, Output, Tags, command, grouped, pair
from tagseg.config import parsing
from tagseg.errors import TagsegError
from tagseg.evaluation.confusion import Protocol
from tagseg.evaluation.published import Published

app = typer.Typer()


@command(app)
def evaluate(
    labels: Files,
    tags: Tags,
    ground_truth: GroundTruth,
    classes: Classes,
    output: Output,
    split: Annotated[str, typer.Option(help="Split to evaluate")] = "val",
    protocol: Annotated[Protocol, typer.Option(help="foreground: any class counts as 1")] = "classes",
    fact: Annotated[list[str], typer.Option(help="KEY=VALUE to keep with the result; repeatable")] = [],  # noqa: B006
    sample: Annotated[float, typer.Option(help="Part of the images, drawn at random; Table 4: 0.1")] = 1.0,
    sample_seed: Annotated[int, typer.Option(min=0, help="Seed of that draw")] = 0,
    per_image: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Also write a row for each image to this CSV"),
        WRITTEN,
    ] = None,
) -> None:
    """Confusion matrix of label maps against the truth."""
    from tagseg.stages import evaluate as stage

    if not 0 < sample <= 1:
        raise TagsegError(f"--sample {sample:g}: give a part above 0 and up to 1")
    pairs = dict(pair(item, "--fact") for item in fact)
    stage.run(
        labels, tags, ground_truth, classes, output, split=split, protocol=protocol, facts=pairs, sample=sample,
        seed=sample_seed, per_image=per_image,
    )  # fmt: skip


@command(app)
def trimap(
    prediction: Annotated[
        list[str], typer.Option(help="METHOD/CRF=SHARD of label maps; repeat for each method, CRF and shard")
    ],
    tags: Tags,
    ground_truth: GroundTruth,
    classes: Classes,
    output: Output,
    split: Annotated[str, typer.Option(help="Split to evaluate")] = "val",
    width: Annotated[int, typer.Option(min=1, max=1000, help="Widest band in pixels")] = 40,
) -> None:
    """Accuracy in bands around the truth's boundaries (Fig. 10)."""
    from tagseg.stages import trimap as stage

    predictions: dict[tuple[str, str], list[Path]] = {}
    for item in prediction:
        name, path = pair(item, "--prediction")
        method, slash, crf = name.partition("/")
        if not slash:
            raise TagsegError(f"--prediction {item}: write it as METHOD/CRF=FILE")
        predictions.setdefault((method, crf), []).append(Path(path))
    stage.run(predictions, tags, ground_truth, classes, output, split=split, width=width)


@command(app)
def tabulate(
    table: Annotated[Literal["miou", "ablation", "masks"], typer.Option(help="Which table")],
    results: Annotated[list[Path], typer.Argument(help="Files that tagseg evaluate wrote")],
    output: Output,
    published: Annotated[Published, typer.Option(help="Data set whose published rows are added")] = "none",
) -> None:
    """Gather evaluations into one table."""
    from tagseg.stages import tabulate as stage

    stage.run(table, results, output, published=published)


@command(app)
def panels(
    tags: Tags,
    classes: Classes,
    ground_truth: GroundTruth,
    priors: Files,
    cams: Files,
    masks: Files,
    prediction: Annotated[list[str], typer.Option(help="NAME=SHARD; repeat for each experiment and shard")],
    output: Output,
    split: Annotated[str, typer.Option(help="Split to show")] = "val",
    count: Annotated[int, typer.Option(min=1, help="Images")] = 12,
) -> None:
    """The panel picture: images' way from photograph to prediction."""
    from tagseg.stages import panels as stage

    predictions = grouped(prediction, "--prediction")
    stage.run(tags, classes, ground_truth, priors, cams, masks, predictions, output, split=split, count=count)


@command(app)
def losses(
    training: Annotated[list[str], typer.Option(help="NAME=LOG of a training; repeatable")],
    output: Output,
    title: Annotated[str, typer.Option(help="Over the picture")] = "loss",
) -> None:
    """The picture of the losses of trainings."""
    from tagseg.stages import figure_losses as stage

    pairs = (pair(item, "--training") for item in training)
    stage.run({name: Path(path) for name, path in pairs}, output, title=title)


@command(app)
def mask_preview(
    labels: Files,
    tags: Tags,
    classes: Classes,
    output: Output,
    count: Annotated[int, typer.Option(min=1, help="Photographs on it")] = 24,
) -> None:
    """A sheet of training photographs under their masks."""
    from tagseg.stages import mask_preview as stage

    stage.run(labels, tags, classes, output, count=count)


@command(app)
def recipe_panels(
    tags: Tags,
    classes: Classes,
    ground_truth: GroundTruth,
    run: Annotated[list[str], typer.Option(help="NAME=SHARD of label maps; repeat for each run and shard")],
    output: Output,
    count: Annotated[int, typer.Option(min=1, help="Images: a third worst, a third middling, a third best")] = 12,
) -> None:
    """The picture of recipes: image, truth, and the masks of several runs."""
    from tagseg.stages import recipe_panels as stage

    runs = grouped(run, "--run")
    stage.run(tags, classes, ground_truth, runs, output, count=count)


@command(app)
def region_panels(
    tags: Tags,
    output: Output,
    settings: config.CrispSettings,
    split: OneSplit = None,
    count: Annotated[int, typer.Option(min=1, help="Images")] = 6,
) -> None:
    """The picture of crisp regions: image, boundaries, contour map, regions at .05, .1 and .2."""
    from tagseg.stages import region_panels as stage

    stage.run(tags, output, settings, split=split, count=count)


@command(app)
def crf_panels(
    prior: Annotated[config.Prior, typer.Option(help="Whose masks are shown")],
    tags: Tags,
    classes: Classes,
    ground_truth: GroundTruth,
    regions: Files,
    pairwise: Annotated[list[Path], typer.Option(help="Mask shards made with the pairwise CRF; repeatable")],
    higher_order: Annotated[list[Path], typer.Option(help="Mask shards made with regions, too; repeatable")],
    output: Output,
    split: Annotated[str, typer.Option(help="Split to show")] = "val",
    count: Annotated[int, typer.Option(min=1, help="Images: those that regions change most")] = 6,
) -> None:
    """The picture of the CRF with and without regions."""
    from tagseg.stages import crf_panels as stage

    stage.run(
        prior, tags, classes, ground_truth, regions, pairwise, higher_order, output, split=split, count=count
    )  # fmt: skip


@command(app)
def chart(
    table: Annotated[Path, typer.Option(help="miou.csv or ablation.csv")],
    output: Output,
    title: Annotated[str, typer.Option(help="Title of the chart")] = "",
) -> None:
    """Bar chart of the experiments."""
    from tagseg.stages import figure_experiments as stage

    stage.run(table, output, title=title)


@command(app)
def export_png(
    labels: Files,
    tags: Tags,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write"), WRITTEN],
    split: OneSplit = None,
) -> None:
    """Label maps as indexed PNG files with the VOC palette."""
    from tagseg.stages import export_png as stage

    stage.run(labels, tags, output, split=split)


@command(app)
def search_crf(
    tags: Tags,
    maps: Files,
    ground_truth: GroundTruth,
    classes: Classes,
    settings: config.CrfSettings,
    output: Output = Path("search.csv"),
    regions: Files = [],  # noqa: B006 (typer reads the default, nothing writes to it)
    crf: Annotated[str, typer.Option(help="Those to try, of none,pairwise,higher_order")] = "pairwise",
    vary: Annotated[list[str], typer.Option(help="KEY=VALUE,VALUE,...: settings to try; all combinations")] = [],  # noqa: B006
    split: Annotated[str, typer.Option(help="Split to try them on")] = "train",
    protocol: Annotated[Protocol, typer.Option(help="foreground: any class counts as 1")] = "classes",
    processes: Annotated[int, typer.Option(min=1, help="Images at the same time")] = 1,
) -> None:
    """Try settings of the CRF on images that have truth; best first."""
    from tagseg.stages import search_crf as stage

    varied = {key.replace("-", "_"): values.split(",") for key, values in (pair(item, "--vary") for item in vary)}
    table = stage.run(
        stage.trials_of(crf.split(","), settings, varied), tags, maps, regions, ground_truth, classes, output,
        split=split, protocol=protocol, processes=processes,
    )  # fmt: skip
    typer.echo(table[[*varied, "crf", "mean_iou", "pixel_accuracy"]].round(2).to_string(index=False))


@command(app)
def config_schema() -> None:
    """Print the JSON schema of the configuration."""
    typer.echo(parsing.schema(), nl=False)
