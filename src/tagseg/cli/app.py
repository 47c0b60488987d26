"""The command line: each stage is a subcommand, its options are the configuration's own keys."""

import logging
import sys
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from tagseg import config
from tagseg.artifacts.disk import explained
from tagseg.cli import data as cli_data
from tagseg.cli import figures as cli_figures
from tagseg.cli import models as cli_models
from tagseg.cli import project as cli_project
from tagseg.cli import results as cli_results
from tagseg.cli.options import (
    WRITTEN,
    CheckpointFolder,
    Classes,
    Files,
    OneSplit,
    Output,
    Seed,
    ShardNumber,
    Shards,
    Tags,
    Threads,
    TrainingLog,
    command,
)
from tagseg.cli.orphans import end_with_master
from tagseg.config import Crf, Mask, Prior
from tagseg.config.data import ShapesData
from tagseg.errors import TagsegError

app = typer.Typer(
    help="From image tags to pixel labels. Snakemake calls the stages; each also runs by hand.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@command(app)
def make_shapes(
    images: Annotated[Path, typer.Option(help="Folder of scenes to write"), WRITTEN],
    masks: Annotated[Path, typer.Option(help="Folder of exact masks to write"), WRITTEN],
    tags: Annotated[Path, typer.Option(help="tags.csv (image,tags,split) to write"), WRITTEN],
    data: ShapesData,
) -> None:
    """Make the embedded demo's scenes from a seed."""
    from tagseg.stages import make_shapes as stage

    stage.run(images, masks, tags, data)


@command(app)
def pretrain_shapes(
    output: Output,
    seed: Seed = 0,
    steps: Annotated[int, typer.Option(min=1, help="Steps of 32 images")] = 1900,
    threads: Threads = 1,
) -> None:
    """Pre-train the demo's small network on single shapes (its result ships with the package)."""
    from tagseg.stages import pretrain_shapes as stage

    stage.run(output, seed=seed, steps=steps, threads=threads)


@command(app)
def extract(
    tags: Tags,
    output: Output,
    network: config.BackboneSettings,
    looks: config.ViewSettings,
    machine: config.InferenceMachine,
    shard: ShardNumber = 0,
    shards: Shards = 1,
    threads: Threads = 1,
) -> None:
    """Mean activations of conv4 and conv5 of each image."""
    from tagseg.stages import extract as stage

    stage.run(tags, output, network, looks, machine, shard=shard, shards=shards, threads=threads)


@command(app)
def localization(
    tags: Tags,
    classes: Classes,
    output: Output,
    training_log: TrainingLog,
    network: config.BackboneSettings,
    settings: config.LocalizationSettings,
    machine: config.TrainingMachine,
    checkpoints: CheckpointFolder = None,
    seed: Seed = 0,
    threads: Threads = 1,
) -> None:
    """Train the localization network on tags."""
    from tagseg.stages import train_localization as stage

    stage.run(
        tags, classes, output, training_log, network, settings, machine,
        checkpoints=checkpoints, seed=seed, threads=threads,
    )  # fmt: skip


@command(app)
def cams(
    tags: Tags,
    model: Annotated[Path, typer.Option(help="Localization model")],
    output: Output,
    looks: config.ViewSettings,
    machine: config.InferenceMachine,
    shard: ShardNumber = 0,
    shards: Shards = 1,
    threads: Threads = 1,
) -> None:
    """Class activation maps of each image's own tags."""
    from tagseg.stages import cams as stage

    stage.run(tags, model, output, looks, machine, shard=shard, shards=shards, threads=threads)


@command(app)
def fuse(
    prior: Annotated[Prior, typer.Option(help="Which maps to make")],
    tags: Tags,
    classes: Classes,
    output: Output,
    settings: config.PriorSettings,
    activations: Annotated[Path | None, typer.Option(help="Shard of activations (fgbg, multiclass)")] = None,
    cams: Annotated[Optional[Path], typer.Option(help="Shard of CAMs (localization, multiclass)")] = None,  # noqa: UP045
    shard: ShardNumber = 0,
    shards: Shards = 1,
) -> None:
    """Probability maps of one prior: foreground, localization, or their fusion."""
    from tagseg.stages import fuse as stage

    stage.run(prior, tags, classes, output, settings, activations=activations, cams=cams, shard=shard, shards=shards)


@command(app)
def samples(
    tags: Tags,
    maps: Annotated[Path, typer.Option(help="Shard of the first round's maps")],
    output: Output,
    network: config.BackboneSettings,
    looks: config.ViewSettings,
    settings: config.SampleSettings,
    crf: config.CrfSettings,
    machine: config.InferenceMachine,
    seed: Seed = 0,
    shard: ShardNumber = 0,
    shards: Shards = 1,
    threads: Threads = 1,
) -> None:
    """Confident pixels of the training images, with their features, for the second round."""
    from tagseg.stages.second_round import sample as stage

    stage.run(
        tags, maps, output, network, looks, settings, crf, machine,
        seed=seed, shard=shard, shards=shards, threads=threads,
    )  # fmt: skip


@command(app)
def second_round(
    tags: Tags,
    classes: Classes,
    samples: Files,
    output: Output,
    settings: config.RegressionSettings,
    threads: Threads = 1,
) -> None:
    """Fit the second round's regression on the samples of all shards."""
    from tagseg.stages.second_round import fit as stage

    stage.run(tags, classes, samples, output, settings, threads=threads)


@command(app)
def second_round(
    tags: Tags,
    maps: Annotated[Path, typer.Option(help="Shard of the first round's maps")],
    model: Annotated[Path, typer.Option(help="What tagseg second-round fit wrote")],
    output: Output,
    network: config.BackboneSettings,
    looks: config.ViewSettings,
    machine: config.InferenceMachine,
    weight: Annotated[float, typer.Option(min=0, max=1, help="Of the regression, against the first round")] = 0.5,
    shard: ShardNumber = 0,
    shards: Shards = 1,
    threads: Threads = 1,
) -> None:
    """Maps of the second round."""
    from tagseg.stages.second_round import apply as stage

    stage.run(
        tags, maps, model, output, network, looks, machine, weight=weight, shard=shard, shards=shards, threads=threads
    )


@command(app)
def regions(
    tags: Tags,
    output: Output,
    settings: config.RegionSettings,
    shard: ShardNumber = 0,
    shards: Shards = 1,
) -> None:
    """Crisp regions of each image."""
    from tagseg.stages import regions as stage

    stage.run(tags, output, settings, shard=shard, shards=shards)


@command(app)
def smooth(
    crf: Annotated[
        Crf, typer.Option(help="none: the largest value wins; pairwise: after a dense CRF; higher_order: with regions")
    ],
    tags: Tags,
    maps: Annotated[Path, typer.Option(help="Shard of probability maps or of network scores")],
    output: Output,
    settings: config.CrfSettings,
    regions: Annotated[Optional[Path], typer.Option(help="Shard of regions, for higher_order")] = None,  # noqa: UP045
    split: OneSplit = None,
    shard: ShardNumber = 0,
    shards: Shards = 1,
) -> None:
    """Label maps from probability maps or network scores."""
    from tagseg.stages import smooth as stage

    stage.run(crf, tags, maps, output, settings, regions=regions, split=split, shard=shard, shards=shards)


@command(app)
def train(
    tags: Tags,
    classes: Classes,
    output: Output,
    training_log: TrainingLog,
    mask: Annotated[Mask, typer.Option(help="What the masks are; none: tags only")],
    network: config.BackboneSettings,
    settings: config.SegmentationSettings,
    machine: config.TrainingMachine,
    masks: Files = [],  # noqa: B006 (typer reads the default, nothing writes to it)
    fov: Annotated[Literal["small", "large"], typer.Option(help="Field of view of the head")] = "small",
    checkpoints: CheckpointFolder = None,
    seed: Seed = 0,
    threads: Threads = 1,
) -> None:
    """Train a score network on tags and masks."""
    from tagseg.stages import train_segmentation as stage

    stage.run(
        tags, classes, masks, output, training_log, network, settings, machine,
        mask=mask, fov=fov, checkpoints=checkpoints, seed=seed, threads=threads,
    )  # fmt: skip


@command(app)
def score(
    model: Annotated[Path, typer.Option(help="Segmentation model")],
    tags: Tags,
    output: Output,
    machine: config.InferenceMachine,
    split: Annotated[str, typer.Option(help="Split to score")] = "val",
    shard: ShardNumber = 0,
    shards: Shards = 1,
    threads: Threads = 1,
) -> None:
    """Scores of every class, without tags."""
    from tagseg.stages import score as stage

    stage.run(model, tags, output, machine, split=split, shard=shard, shards=shards, threads=threads)


# the commands that read data sets, and those that make tables and pictures, stand beside the stages; those that people
# use on what came out stand last, where a terminal shows them
app.add_typer(cli_data.app)
app.add_typer(cli_results.app)
app.add_typer(cli_figures.app)
app.add_typer(cli_models.app)
app.add_typer(cli_project.app)


def main() -> None:
    """Entry point: user errors are one line and status 2, without a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("tagseg").setLevel(logging.INFO)  # what libraries say of their own work is not the user's
    try:
        end_with_master()
        app()
    except (TagsegError, OSError) as error:
        line = explained(error) if isinstance(error, OSError) else error
        if line is None:
            raise
        print(f"tagseg: {line}", file=sys.stderr)
        sys.exit(2)
