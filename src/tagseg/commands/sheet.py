"""Draw a contact sheet of a results folder: each step that a few images have gone through so far."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tagseg.artifacts.shard_sets import ShardSet
from tagseg.config.masks import CRFS, PRIORS
from tagseg.datasets.index import ImageRecord, evenly, read_classes, read_index
from tagseg.datasets.truths import TruthMasks
from tagseg.errors import TagsegError
from tagseg.figures.grid import Cell, Row, image_grid
from tagseg.figures.letters import in_pictures, key_to
from tagseg.figures.panels import heat_panel, image_panel, label_panel, region_panel
from tagseg.images.files import read_image
from tagseg.images.palette import IGNORE
from tagseg.images.resize import resize_map
from tagseg.priors.foreground import scale_min_max
from tagseg.runtime.evaluations import compare
from tagseg.runtime.label_maps import upsampled_argmax
from tagseg.runtime.pictures import check_suffixes, stored_class_maps, write_figure

_FEW = 4  # images, where none is named
_COLUMNS = 6

Cells = list[Cell]
Draw = Callable[[ImageRecord], Cells]


def draw_sheet(folder: Path, images: Sequence[str], output: Path) -> str:
    """Draw the sheet of the images of these ids, or, without any, of a few of split val.

    If split val has none, they are of all splits. Returns lines for the terminal: where the sheet is, and which steps
    could not be drawn. Raises TagsegError for an id that is not in `tags.csv`, and for a file of the run that cannot be
    read.
    """
    check_suffixes([output])
    root = _run_folder(folder)
    chosen = [replace(r, path=root / r.path) for r in _chosen(folder / "tags.csv", images)]
    classes = read_classes(folder / "classes.txt") if (folder / "classes.txt").is_file() else []
    shown = in_pictures(classes)
    truth = TruthMasks(folder / "ground_truth.csv", root) if (folder / "ground_truth.csv").is_file() else None
    for record in chosen:
        if truth and record.id in truth:
            truth.require_size(record)
    rows: list[Row] = []
    missing: dict[str, list[str]] = {}
    sources = list(_sources(folder, truth))
    for record in chosen:
        cells: Cells = [("image", image_panel(read_image(record.path)))]
        for step, draw in sources:
            drawn = draw(record) if draw else []
            cells += drawn
            if not drawn:
                missing.setdefault(step, []).append(record.id)
        tags = ", ".join(shown.get(tag, tag) for tag in record.tags) or "no tag"
        rows.append((f"{record.id} ({record.split})\n{tags}", cells))
    write_figure(image_grid(rows, list(shown.values()), columns=_COLUMNS), output)
    lines = [f"sheet: {output}", *filter(None, [key_to(classes)])]
    for step, ids in missing.items():
        whom = "" if len(ids) == len(chosen) else f", of {', '.join(ids)}"
        lines.append(f"not there: {step}{whom}")
    return "\n".join(lines)


def _run_folder(folder: Path) -> Path:
    """The folder that paths in a run's tables are relative to: that of results/NAME, else the current one."""
    whole = folder.resolve()
    return whole.parents[1] if whole.parent.name == "results" else Path()


def _chosen(tags: Path, images: Sequence[str]) -> list[ImageRecord]:
    records = read_index(tags)
    if images:
        by_id = {record.id: record for record in records}
        for name in images:
            if name not in by_id:
                raise TagsegError(f"--image {name}: {tags} has no such id; the first is {next(iter(by_id), 'none')}")
        return [by_id[name] for name in images]
    pool = [record for record in records if record.split == "val"] or records
    if not pool:
        raise TagsegError(f"{tags}: no image in it; index the data set again")
    return evenly(pool, _FEW)


def _sources(folder: Path, truth: TruthMasks | None) -> Iterator[tuple[str, Draw | None]]:
    """The steps in the pipeline's order: the name of each artifact, and a function that draws it, None without it."""
    yield "activations", _drawn(folder / "activations", "activations", _activations)
    yield "cams", _drawn(folder / "cams", "cams", lambda s, r: [("CAMs of the tags", stored_class_maps(s, r, "cams"))])
    for prior in PRIORS:
        yield f"priors/{prior}", _drawn(folder / "priors" / prior, "probabilities", _prior(f"{prior} prior"))
    for prior in PRIORS:
        second = folder / "second_round" / prior / "maps"
        if second.is_dir():  # a run without a second round lacks nothing
            yield f"second_round/{prior}/maps", _drawn(second, "probabilities", _prior(f"{prior}, second round"))
    yield "regions", _drawn(folder / "regions", "regions", _regions)
    for prior in PRIORS:
        found: list[str] = [crf for crf in CRFS if (folder / "masks" / f"{prior}-{crf}").is_dir()]
        for crf in found or ["*"]:
            name = f"masks/{prior}-{crf}"
            yield name, _drawn(folder / name, "labels", _labels(f"{prior} mask\nCRF {crf}", None))
    experiments = [path for path in sorted((folder / "predictions").glob("*")) if path.is_dir()]
    if not experiments:
        yield "predictions", None
    for experiment in experiments:
        yield from _predictions(experiment, truth)
    yield "ground_truth.csv", lambda r: [("truth", label_panel(truth.labels(r)))] if truth and r.id in truth else []


def _predictions(experiment: Path, truth: TruthMasks | None) -> Iterator[tuple[str, Draw]]:
    """Label maps of each CRF, of any split; if there are none yet, the label of the largest score."""
    splits = {path.name for path in experiment.iterdir() if path.is_dir() and not path.name.endswith("-png")}
    smoothed = {name: crf for name in splits for crf in CRFS if name.endswith(f"-{crf}")}
    for crf in CRFS:
        sets = [_shards(experiment / name, "labels") for name in sorted(smoothed) if smoothed[name] == crf]
        if sets:
            draw = _labels(f"{experiment.name}\nCRF {crf}", truth)
            yield f"predictions/{experiment.name}/*-{crf}", _first(draw, sets)
    if not smoothed:
        sets = [_shards(experiment / name, "scores") for name in sorted(splits)]
        yield f"predictions/{experiment.name}", _first(_scores(f"{experiment.name}\nlargest score"), sets)


def _shards(folder: Path, kind: str) -> ShardSet:
    return ShardSet(sorted(folder.glob("*.h5")), kind)


def _drawn(folder: Path, kind: str, draw: Callable[[ShardSet, ImageRecord], Cells]) -> Draw | None:
    """A function that draws an image from the shards of a folder that hold it; None if there are no shards."""
    return _first(draw, [_shards(folder, kind)]) if any(folder.glob("*.h5")) else None


def _first(draw: Callable[[ShardSet, ImageRecord], Cells], sets: list[ShardSet]) -> Draw:
    """A function that draws an image from the first of several sets of shards that holds it."""
    return lambda record: next((draw(shards, record) for shards in sets if record.id in shards), [])


def _activations(shards: ShardSet, record: ImageRecord) -> Cells:
    """conv4 and conv5, each averaged over the scales of the image, with every map first scaled to [0, 1]."""
    cells = []
    for layer in ("conv4", "conv5"):
        names = [name for name in shards.names(record.id) if name.split("-")[0] == layer]
        maps = [scale_min_max(resize_map(shards.get(record.id, name), _size(record))) for name in names]
        if maps:
            scales = "" if len(maps) == 1 else f", mean of {len(maps)} scales"
            cells.append((f"{layer}{scales}", heat_panel(np.mean(maps, axis=0))))
    return cells


def _prior(title: str) -> Callable[[ShardSet, ImageRecord], Cells]:
    """The foreground map of the fgbg prior; of the others, the map of each class in its colour."""

    def draw(shards: ShardSet, record: ImageRecord) -> Cells:
        if title.startswith("fgbg"):
            return [(title, heat_panel(resize_map(shards.get(record.id, "maps")[1], _size(record))))]
        return [(title, stored_class_maps(shards, record, "maps"))]

    return draw


def _regions(shards: ShardSet, record: ImageRecord) -> Cells:
    labels = shards.get(record.id, "regions")
    return [(f"{len(np.unique(labels))} regions", region_panel(read_image(record.path), labels))]


def _labels(title: str, truth: TruthMasks | None) -> Callable[[ShardSet, ImageRecord], Cells]:
    """A label map, with the image's mean IoU if there is truth; an fgbg mask as a heat map, as its 1 is no class."""

    def draw(shards: ShardSet, record: ImageRecord) -> Cells:
        labels = shards.get(record.id, "labels")
        if title.startswith("fgbg mask"):
            return [(title, heat_panel(labels))]
        if truth is None or record.id not in truth:
            return [(title, label_panel(labels))]
        expected = truth.labels(record)
        classes = int(max(labels.max(), np.where(expected == IGNORE, 0, expected).max())) + 1
        matrix = compare(expected, labels, classes, truth.path(record))
        return [(f"{title}, mIoU {100 * matrix.mean_iou():.1f}", label_panel(labels))]

    return draw


def _scores(title: str) -> Callable[[ShardSet, ImageRecord], Cells]:
    """The label of the largest score at each pixel."""

    def draw(shards: ShardSet, record: ImageRecord) -> Cells:
        return [(title, label_panel(upsampled_argmax(shards.get(record.id, "maps"), _size(record))))]

    return draw


def _size(record: ImageRecord) -> tuple[int, int]:
    return record.height, record.width
