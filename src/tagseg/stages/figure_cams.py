"""Figs. 4 and 5: what the localization network finds of each tag, and what is left of it after fusion."""

from pathlib import Path

import numpy as np

from tagseg.datasets.images import read_image
from tagseg.datasets.index import ImageRecord, read_classes
from tagseg.errors import TagsegError
from tagseg.figures.panels import over_image, panel_figure
from tagseg.pictures import checked_outputs, write_figure
from tagseg.priors.foreground import resize_map
from tagseg.store import ShardSet
from tagseg.truths import Truths

_TAGS = 2  # of an image that are shown


def run(
    tags: Path,
    classes: Path,
    ground_truth: Path,
    cams: list[Path],
    masks: list[Path],
    outputs: list[Path],
    *,
    foreground: list[Path],
    fused: list[Path],
    split: str,
    count: int,
) -> None:
    """Draw a row for each of up to two tags of `count` images that have any.

    Fig. 4, without `foreground` and `fused`: image, CAM, CAM over the image, mask, truth; masks of the localization
    prior belong to it. Fig. 5, with both: image, CAM, Pf, the fused maps of class and background, mask, truth; masks of
    the multi-class prior belong to it. Raises TagsegError if only one is given, or no image has a tag.
    """
    checked_outputs(outputs)
    if bool(foreground) != bool(fused):
        raise TagsegError("fusion is drawn from --foreground and --fused together; give both, or neither for CAMs")
    truths = Truths(tags, ground_truth, split, "draw maps of its tags")
    tagged = truths.only(lambda record: bool(record.tags))
    if not tagged.records:
        raise TagsegError(f"{tags}: no image of split {split} with truth has a tag; choose another --split")
    names = read_classes(classes)
    maps, mask_maps = ShardSet(cams, "cams"), ShardSet(masks, "labels")
    pf, fusion = (ShardSet(paths, "probabilities") for paths in (foreground, fused))
    rows: list[list[np.ndarray]] = []
    labels: list[str] = []
    for record in tagged.evenly(count):
        image, truth, mask = read_image(record.path), tagged.labels(record), mask_maps.get(record.id, "mask")
        for place, label in enumerate(maps.get(record.id, "labels")[:_TAGS].tolist()):
            cam = _sized(maps.get(record.id, "cams")[place], record)
            if fused:
                own = fusion.get(record.id, "maps")
                at = fusion.get(record.id, "labels").tolist().index(label)
                middle = [_sized(values, record) for values in (pf.get(record.id, "maps")[1], own[at], own[0])]
            else:
                middle = [over_image(image, cam)]
            rows.append([image, cam, *middle, mask, truth])
            labels.append(f"{record.id}\n{names[label]}")
    middle_names = ["foreground Pf", "fused: class", "fused: background"] if fused else ["CAM over image"]
    figure = panel_figure(["image", "CAM", *middle_names, "mask (known tags)", "truth"], rows, labels, names)
    write_figure(figure, *outputs)


def _sized(values: np.ndarray, record: ImageRecord) -> np.ndarray:
    return resize_map(values, (record.height, record.width)).clip(0, 1)
