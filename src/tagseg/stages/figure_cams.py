"""Draw Figs. 4 and 5: the class activation map of each tag, and what is left of it after fusion."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tagseg.artifacts.shard_sets import ShardSet
from tagseg.config.arguments import Classes, Count, Files, GroundTruth, Outputs, Split, Tags
from tagseg.datasets.index import ImageRecord, read_classes
from tagseg.datasets.truths import Truths
from tagseg.errors import TagsegError
from tagseg.figures.grid import Cell, Row, image_grid
from tagseg.figures.panels import Panel, heat_overlay_panel, heat_panel, image_panel, label_panel
from tagseg.images.files import read_image
from tagseg.images.resize import resize_map
from tagseg.runtime.pictures import check_suffixes, display_names, write_figure

_MOST_TAGS = 2  # rows of an image


def run(
    tags: Tags,
    classes: Classes,
    ground_truth: GroundTruth,
    cams: Files,
    masks: Annotated[list[Path], Field(description="Shards of localization masks; multiclass for Fig. 5; repeatable")],
    outputs: Outputs,
    *,
    foreground: Annotated[Sequence[Path], Field(description="Fig. 5: shards of the fgbg prior; repeatable")] = (),
    fused: Annotated[Sequence[Path], Field(description="Fig. 5: shards of the multiclass prior; repeatable")] = (),
    split: Split = "val",
    count: Count = 4,
) -> None:
    """Draw Fig. 4, class activation maps; with --foreground and --fused, Fig. 5, their fusion.

    There is a row for each of up to two tags of `count` images that have any. Fig. 4: image, CAM, CAM over the image,
    mask, truth; `masks` are those of the localization prior. Fig. 5: image, CAM, Pf, the fused maps of class and
    background, mask, truth; `masks` are those of the multi-class prior. Raises TagsegError if only one of `foreground`
    and `fused` is given, or if no image has a tag.
    """
    check_suffixes(outputs)
    if bool(foreground) != bool(fused):
        raise TagsegError("fusion is drawn from --foreground and --fused together; give both, or neither for CAMs")
    tagged = Truths(tags, ground_truth, split, "draw maps of its tags").only(lambda record: bool(record.tags))
    if not tagged.records:
        raise TagsegError(f"{tags}: no image of split {split} with truth has a tag; choose another --split")
    names = list(display_names(read_classes(classes)).values())
    cam_maps, mask_maps = ShardSet(cams, "cams"), ShardSet(masks, "labels")
    foreground_maps, fused_maps = (ShardSet(paths, "probabilities") for paths in (foreground, fused))
    rows: list[Row] = []
    for record in tagged.evenly(count):
        image = read_image(record.path)
        mask, truth = label_panel(mask_maps.get(record.id, "labels")), label_panel(tagged.labels(record))
        for i, label in enumerate(cam_maps.get(record.id, "labels")[:_MOST_TAGS].tolist()):
            cam = resize_map(cam_maps.get(record.id, "cams")[i], (record.height, record.width)).clip(0, 1)
            cells: list[Cell] = [("image", image_panel(image)), ("CAM", heat_panel(cam))]
            if fused:
                cells.append(("foreground Pf", _heat(foreground_maps, record, 1)))
                fused_labels = fused_maps.get(record.id, "labels").tolist()
                cells.append(("fused: class", _heat(fused_maps, record, fused_labels.index(label))))
                cells.append(("fused: background", _heat(fused_maps, record, 0)))
            else:
                cells.append(("CAM over image", heat_overlay_panel(image, cam)))
            rows.append((f"{record.id}\n{names[label]}", [*cells, ("mask (known tags)", mask), ("truth", truth)]))
    write_figure(image_grid(rows, names), *outputs)


def _heat(maps: ShardSet, record: ImageRecord, index: int) -> Panel:
    """One of an image's probability maps, at the size of the image."""
    return heat_panel(resize_map(maps.get(record.id, "maps")[index], (record.height, record.width)))
