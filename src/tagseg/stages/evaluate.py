"""Compare label maps with the truth of one split. Evaluation alone reads ground truth."""

import logging
from pathlib import Path
from typing import Annotated

from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.atomic import write_text
from tagseg.artifacts.shard_sets import ShardSet
from tagseg.config.arguments import WRITTEN, Classes, Files, GroundTruth, Named, Output, Tags
from tagseg.datasets.index import read_classes
from tagseg.datasets.truths import Truths
from tagseg.errors import TagsegError
from tagseg.evaluation.confusion import ConfusionMatrix, Protocol, any_foreground
from tagseg.evaluation.result import Result
from tagseg.evaluation.tables import image_table
from tagseg.runtime.progress import rate

log = logging.getLogger(__name__)


def run(
    labels: Files,
    tags: Tags,
    ground_truth: GroundTruth,
    classes: Classes,
    output: Output,
    *,
    split: Annotated[str, Field(description="Split to evaluate")] = "val",
    protocol: Annotated[Protocol, Field(description="foreground: any class counts as 1")] = "classes",
    facts: Annotated[
        dict[str, str],
        Named("fact"),
        Field(default_factory=dict, description="KEY=VALUE to keep with the result; repeatable"),
    ],
    sample: Annotated[float, Field(gt=0, le=1, description="Part of the images, drawn at random; Table 4: 0.1")] = 1.0,
    seed: Annotated[int, Named("sample-seed"), Field(ge=0, description="Seed of that draw")] = 0,
    per_image: Annotated[Path | None, WRITTEN, Field(description="Also write a row for each image to this CSV")] = None,
) -> None:
    """Confusion matrix of label maps against the truth.

    Write the confusion matrix over all images of the split that have truth, as JSON with `facts`.

    `foreground` counts any class as foreground, in truth and prediction; with `sample` .1 of split train that is
    Table 4's protocol, while `classes` on masks of split val is Table 5's. `sample` is the part of the images that is
    evaluated, drawn with `seed`. `per_image` also gets a row for each image. One image is in memory at a time. Raises
    TagsegError naming the mask for truth of another size or with labels outside the classes.
    """
    names = read_classes(classes) if protocol == "classes" else ["background", "foreground"]
    truths = Truths(tags, ground_truth, split)
    records = truths.records if sample == 1 else truths.sample(sample, seed)
    maps = ShardSet(labels, "labels")
    matrix, rows = ConfusionMatrix(len(names)), []
    with rate("images", len(records)):
        for record in tqdm(records, unit="image", disable=None):
            truth, predicted = truths.labels(record), maps.get(record.id, "labels")
            if protocol == "foreground":
                truth, predicted = any_foreground(truth), any_foreground(predicted)
            own = ConfusionMatrix(len(names))
            try:
                own.update(truth, predicted)
            except ValueError as error:
                raise TagsegError(f"{truths.path(record)}: {error}; fix the mask, or take it out") from None
            matrix += own
            rows.append((record.id, own.mean_iou(), own.pixel_accuracy()))
    if sample < 1:
        facts = {**facts, "sample": f"{sample:g}", "sample_seed": str(seed)}
    if per_image:
        write_text(per_image, image_table(rows).to_csv(index=False, lineterminator="\n"))
    write_text(output, Result({**facts, "split": split}, names, len(records), matrix).to_json())
    log.info("mean IoU %.2f over %d images", 100 * matrix.mean_iou(), len(records))
