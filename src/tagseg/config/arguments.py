"""What stages and commands are handed beside their settings: the files and numbers that many of them take.

`Annotated[type, Field(...)]` is read by the command line as a key of a settings class is: the description is the help,
`ge` and `le` are limits, and a `default_factory` is the default of a parameter that stands before others without one.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

POSITIONAL = "positional"  # in an annotation: the command line takes it by its place, without a name
# In the annotation of a path: the command writes it, a file or a folder. Every other path is one that it reads, and
# writing to that is refused: so a command that forgets the word cannot write at all.
WRITTEN = "written"


@dataclass(frozen=True)
class Named:
    """In an annotation: what the command line calls the option, where that is not the parameter's name."""

    name: str


CORES = os.cpu_count() or 1

Tags = Annotated[Path, Field(description="tags.csv of the data set")]
GroundTruth = Annotated[Path, Field(description="ground_truth.csv of the data set; only evaluation reads it")]
Classes = Annotated[Path, Field(description="classes.txt of the data set")]
Files = Annotated[Sequence[Path], Field(description="Shard files; repeat the option for each")]
Output = Annotated[Path, WRITTEN, Field(description="File to write")]
Outputs = Annotated[list[Path], WRITTEN, Named("output"), Field(description="File to write, .png or .svg; repeatable")]
TrainingLog = Annotated[Path, WRITTEN, Named("log"), Field(description="CSV of the training: step, rate, loss")]
CheckpointFolder = Annotated[
    Path | None, WRITTEN, Field(description="Folder for what a training that is killed goes on from")
]

ShardNumber = Annotated[int, Field(ge=0, description="Which piece of the data set, from 0")]
Shards = Annotated[int, Field(ge=1, description="Into how many pieces the data set is cut")]
Threads = Annotated[
    int, Field(ge=1, description="CPU threads, loaders among them; the bytes of a result depend on the others")
]
Cores = Annotated[int, Field(ge=1, description="Cores to use; all of this machine, if not given")]
Seed = Annotated[int, Field(ge=0, description="Seed of training and initialisation")]
OneSplit = Annotated[str | None, Field(description="Only images of this split")]
Split = Annotated[str, Field(description="Split to show")]
Count = Annotated[int, Field(ge=1, description="Images")]
Title = Annotated[str, Field(description="Over the figure")]

Index = Annotated[Path, Named("index"), Field(description="tags.csv that tagseg index wrote")]
Model = Annotated[
    Path, POSITIONAL, Field(description="Segmentation model: results/NAME/segmentation/EXPERIMENT/model.pt")
]
Project = Annotated[Path, POSITIONAL, Field(description="Folder of the project")]
