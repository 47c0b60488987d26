"""Draw Fig. 9: the average localization map of each class above its average truth."""

import numpy as np
from tqdm import tqdm

from tagseg.artifacts.shard_sets import ShardSet
from tagseg.config.arguments import Classes, Files, GroundTruth, Outputs, Split, Tags
from tagseg.datasets.index import read_classes
from tagseg.datasets.truths import Truths
from tagseg.evaluation.averages import AverageMaps
from tagseg.figures.classes import average_figure
from tagseg.images.resize import resize_map
from tagseg.runtime.pictures import check_suffixes, display_names, write_figure
from tagseg.runtime.progress import log_rate

SIDE = 64  # pixels; maps of all sizes are resized to a square


def run(
    tags: Tags,
    classes: Classes,
    ground_truth: GroundTruth,
    cams: Files,
    outputs: Outputs,
    *,
    split: Split = "val",
) -> None:
    """Draw Fig. 9: the mean CAM of each class over the images tagged with it, above their mean truth.

    Every map is first resized to 64 x 64. A pixel of the truth counts as 1 where it belongs to the class, and as 0
    where it does not or is ignored.
    """
    check_suffixes(outputs)
    names = list(display_names(read_classes(classes)).values())
    truths = Truths(tags, ground_truth, split, "draw average maps")
    cam_maps = ShardSet(cams, "cams")
    mean_cams, mean_truth = AverageMaps(len(names), SIDE), AverageMaps(len(names), SIDE)
    with log_rate("images", len(truths.records)):
        for record in tqdm(truths.records, unit="image", disable=None):
            truth = truths.labels(record)
            labels = cam_maps.get(record.id, "labels").tolist()
            for label, cam in zip(labels, cam_maps.get(record.id, "cams"), strict=True):
                mean_cams.update(label, resize_map(cam, (SIDE, SIDE)))
                mean_truth.update(label, resize_map((truth == label).astype(np.float32), (SIDE, SIDE)))
    shown = [label for label in range(1, len(names)) if mean_cams.images[label]]
    figure = average_figure(
        [names[label] for label in shown],
        [int(mean_cams.images[label]) for label in shown],
        mean_cams.mean()[shown],
        mean_truth.mean()[shown],
        [name for label, name in enumerate(names) if label and label not in shown],
    )
    write_figure(figure, *outputs)
