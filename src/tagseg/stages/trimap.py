"""Compute the accuracy of predictions near object boundaries, in bands of growing width (Fig. 10)."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.atomic import write_text
from tagseg.artifacts.shard_sets import ShardSet
from tagseg.config.arguments import Classes, GroundTruth, Named, Output, Tags
from tagseg.datasets.index import read_classes
from tagseg.datasets.truths import Truths
from tagseg.errors import TagsegError
from tagseg.evaluation.tables import trimap_table
from tagseg.evaluation.trimap import Trimap, boundary_distance
from tagseg.runtime.progress import log_rate


def run(
    predictions: Annotated[
        dict[str, list[Path]],
        Named("prediction"),
        Field(description="METHOD/CRF=SHARD of label maps; repeat for each method, CRF and shard"),
    ],
    tags: Tags,
    ground_truth: GroundTruth,
    classes: Classes,
    output: Output,
    *,
    split: Annotated[str, Field(description="Split to evaluate")] = "val",
    width: Annotated[int, Field(ge=1, le=1000, description="Widest band in pixels")] = 40,
) -> None:
    """Compute the accuracy of predictions in bands around the truth's boundaries (Fig. 10).

    `trimap.csv` has a row for each prediction and each band of 1 to `width` pixels. `predictions` are shards of label
    maps by METHOD/CRF. The distance to the boundary is computed once for each image. Raises TagsegError naming the mask
    if the truth has another size than the label map, or labels outside the classes.
    """
    if not predictions:
        raise TagsegError("no prediction to compare: give --prediction METHOD/CRF=FILE for each shard")
    named = {}
    for name, paths in predictions.items():
        method, slash, crf = name.partition("/")
        if not slash:
            raise TagsegError(f"--prediction {name}={paths[0]}: write it as METHOD/CRF=FILE")
        named[method, crf] = paths
    count = len(read_classes(classes))
    truths = Truths(tags, ground_truth, split)
    maps = {key: ShardSet(paths, "labels") for key, paths in named.items()}
    trimaps = {key: Trimap(count, width) for key in maps}
    with log_rate("images", len(truths.records)):
        for record in tqdm(truths.records, unit="image", disable=None):
            truth = truths.labels(record)
            distance = boundary_distance(truth)
            for key, shards in maps.items():
                try:
                    trimaps[key].update(truth, distance, shards.get(record.id, "labels"))
                except ValueError as error:
                    raise TagsegError(f"{truths.path(record)}: {error}; fix the mask, or take it out") from None
    write_text(output, trimap_table(trimaps).to_csv(index=False, lineterminator="\n"))
