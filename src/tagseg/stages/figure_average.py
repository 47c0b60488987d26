"""Fig. 9: the average localization map of each class against its average truth."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from tagseg.datasets.index import read_classes
from tagseg.evaluation.averages import AverageMaps
from tagseg.figures.classes import average_figure
from tagseg.pictures import checked_outputs, write_figure
from tagseg.priors.foreground import resize_map
from tagseg.progress import rate
from tagseg.store import ShardSet
from tagseg.truths import Truths

SIDE = 64  # pixels of the square that images of all sizes are brought to


def run(tags: Path, classes: Path, ground_truth: Path, cams: list[Path], outputs: list[Path], *, split: str) -> None:
    """Draw, for each class, the mean of its CAMs over the images tagged with it, above the mean of their truth.

    Every map is first brought to 64 x 64. A pixel of truth counts 1 where it is the class's; ignored ones count 0.
    """
    checked_outputs(outputs)
    names = read_classes(classes)
    truths = Truths(tags, ground_truth, split, "draw average maps")
    maps = ShardSet(cams, "cams")
    found, true = AverageMaps(len(names), SIDE), AverageMaps(len(names), SIDE)
    with rate("images", len(truths.records)):
        for record in tqdm(truths.records, unit="image", disable=None):
            truth = truths.labels(record)
            labels = maps.get(record.id, "labels").tolist()
            for label, cam in zip(labels, maps.get(record.id, "cams"), strict=True):
                found.update(label, resize_map(cam, (SIDE, SIDE)))
                true.update(label, resize_map((truth == label).astype(np.float32), (SIDE, SIDE)))
    shown = [label for label in range(1, len(names)) if found.images[label]]
    figure = average_figure(
        [names[label] for label in shown],
        [int(found.images[label]) for label in shown],
        found.mean()[shown],
        true.mean()[shown],
        [name for label, name in enumerate(names) if label and label not in shown],
    )
    write_figure(figure, *outputs)
