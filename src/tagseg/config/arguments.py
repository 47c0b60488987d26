"""Parameters that many stages and commands take besides their settings: files and numbers, with their help texts.

The command line reads `Annotated[type, Field(...)]` like a key of a settings class: the description is the help, `ge`
and `le` are limits, and a `default_factory` is the default of a parameter that precedes others without one.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

POSITIONAL = "positional"  # in an annotation: a positional argument of the command, not an option
# In the annotation of a path: the command writes this file or folder. Every other path is one that it reads, and
# writing to that is refused: a command that lacks the word cannot write at all.
WRITTEN = "written"


@dataclass(frozen=True)
class Named:
    """In an annotation: the option's name on the command line, if it differs from the parameter's."""

    name: str


CORES = os.cpu_count() or 1

Tags = Annotated[Path, Field(description="tags.csv of the data set")]
GroundTruth = Annotated[Path, Field(description="ground_truth.csv of the data set; only evaluation reads it")]
Classes = Annotated[Path, Field(description="classes.txt of the data set")]
Files = Annotated[Sequence[Path], Field(description="Shard file; repeat the option for each")]
Output = Annotated[Path, WRITTEN, Field(description="File to write")]
Outputs = Annotated[list[Path], WRITTEN, Named("output"), Field(description="File to write, .png or .svg; repeatable")]
TrainingLog = Annotated[
    Path, WRITTEN, Named("log"), Field(description="CSV log of the training: step, learning rate, loss")
]
CheckpointFolder = Annotated[
    Path | None, WRITTEN, Field(description="Folder of the checkpoints that an interrupted training resumes from")
]

Trunk = Annotated[Path, Field(description="What tagseg prepare-trunk wrote")]
Features = Annotated[Path, Field(description="Shard of features that tagseg extract wrote")]

ShardNumber = Annotated[int, Field(ge=0, description="Number of the shard, from 0")]
Shards = Annotated[int, Field(ge=1, description="Number of shards that the data set is split into")]
Threads = Annotated[
    int, Field(ge=1, description="CPU threads, loaders included; the last digits of a result depend on the others")
]
Cores = Annotated[int, Field(ge=1, description="CPU cores to use; all of this machine by default")]
Seed = Annotated[int, Field(ge=0, description="Seed of training and initialisation")]
OneSplit = Annotated[str | None, Field(description="Only images of this split")]
Split = Annotated[str, Field(description="Split to show")]
Count = Annotated[int, Field(ge=1, description="Number of images")]
Title = Annotated[str, Field(description="Title of the figure")]

Index = Annotated[Path, Named("index"), Field(description="tags.csv that tagseg index wrote")]
Model = Annotated[
    Path, POSITIONAL, Field(description="Segmentation model: results/NAME/segmentation/EXPERIMENT/model.pt")
]
Project = Annotated[Path, POSITIONAL, Field(description="Folder of the project")]
