"""Compare label maps with the truth of one split. Only evaluation reads ground truth."""

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
from tagseg.evaluation.confusion import ConfusionMatrix, Protocol, any_foreground
from tagseg.evaluation.result import Result
from tagseg.evaluation.tables import image_table
from tagseg.runtime.evaluations import compare
from tagseg.runtime.progress import log_rate

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
    """Compute the confusion matrix of label maps against the truth.

    It is summed over all images of the split that have truth, and written as JSON with `facts`. `per_image` also gets a
    row for each image. `sample` is the part of the images that is evaluated, drawn with `seed`. The protocol
    `foreground` counts any class as foreground, in truth and prediction: with a `sample` of 0.1 of split train it is
    that of Table 4, while `classes` on masks of split val is that of Table 5. Only one image is in memory at a time.
    Raises TagsegError naming the mask if the truth has another size than the label map, or labels outside the classes.
    """
    names = read_classes(classes) if protocol == "classes" else ["background", "foreground"]
    truths = Truths(tags, ground_truth, split)
    records = truths.records if sample == 1 else truths.sample(sample, seed)
    maps = ShardSet(labels, "labels")
    matrix, rows = ConfusionMatrix(len(names)), []
    with log_rate("images", len(records)):
        for record in tqdm(records, unit="image", disable=None):
            truth, predicted = truths.labels(record), maps.get(record.id, "labels")
            if protocol == "foreground":
                truth, predicted = any_foreground(truth), any_foreground(predicted)
            own = compare(truth, predicted, len(names), truths.path(record))
            matrix += own
            rows.append((record.id, own.mean_iou(), own.pixel_accuracy()))
    if sample < 1:
        facts = {**facts, "sample": f"{sample:g}", "sample_seed": str(seed)}
    if per_image:
        write_text(per_image, image_table(rows).to_csv(index=False, lineterminator="\n"))
    write_text(output, Result({**facts, "split": split}, names, len(records), matrix).to_json())
    log.info("mean IoU %.2f over %d images", 100 * matrix.mean_iou(), len(records))
