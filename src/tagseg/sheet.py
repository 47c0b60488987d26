"""A contact sheet of a results folder: photographs' way through the pipeline, as far as it has gone."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from tagseg.datasets.images import read_image, read_labels
from tagseg.datasets.index import ImageRecord, read_classes, read_ground_truth, read_index
from tagseg.errors import TagsegError
from tagseg.evaluation.confusion import ConfusionMatrix
from tagseg.figures.panels import colour_cams, sheet_figure
from tagseg.figures.regions import paint_regions
from tagseg.labels import IGNORE
from tagseg.pictures import checked_outputs, write_figure
from tagseg.priors.foreground import resize_map, scale_min_max
from tagseg.smoothing import strongest
from tagseg.store import ShardSet

PRIORS = ("fgbg", "localization", "multiclass")
CRFS = ("none", "pairwise", "higher_order")
_FEW = 4  # images, where none is named

Cells = list[tuple[str, np.ndarray]]


def draw_sheet(folder: Path, images: list[str], output: Path) -> str:
    """Write the sheet for the images of these ids, else for a few of split val, or of all without val.

    Returns lines for the terminal: where the sheet is, and which steps could not be drawn. Raises TagsegError for an id
    that tags.csv does not hold, and for a file of the run that cannot be read.
    """
    checked_outputs([output])
    seen_from = _run_folder(folder)
    chosen = [replace(r, path=seen_from / r.path) for r in _chosen(folder / "tags.csv", images)]
    classes = read_classes(folder / "classes.txt") if (folder / "classes.txt").is_file() else []
    truth = read_ground_truth(folder / "ground_truth.csv") if (folder / "ground_truth.csv").is_file() else {}
    truth = {image_id: seen_from / path for image_id, path in truth.items()}
    blocks: list[tuple[str, Cells]] = []
    missing: dict[str, list[str]] = {}
    sources = list(_sources(folder, truth))
    for record in chosen:
        cells: Cells = [("image", read_image(record.path))]
        for step, draw in sources:
            drawn = draw(record) if draw else []
            cells += drawn
            if not drawn:
                missing.setdefault(step, []).append(record.id)
        blocks.append((f"{record.id} ({record.split})\n{', '.join(record.tags) or 'no tag'}", cells))
    write_figure(sheet_figure(blocks, classes), output)
    lines = [f"sheet: {output}"]
    for step, ids in missing.items():
        whom = "" if len(ids) == len(chosen) else f", of {', '.join(ids)}"
        lines.append(f"not there: {step}{whom}")
    return "\n".join(lines)


def _run_folder(folder: Path) -> Path:
    """The folder that the paths of a run are seen from, that which holds results/NAME; else the present one."""
    whole = folder.resolve()
    return whole.parents[1] if whole.parent.name == "results" else Path()


def _chosen(tags: Path, images: list[str]) -> list[ImageRecord]:
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
    places = np.unique(np.linspace(0, len(pool) - 1, _FEW).round().astype(int))
    return [pool[i] for i in places]


Draw = Callable[[ImageRecord], Cells]


def _sources(folder: Path, truth: dict[str, Path]) -> Iterator[tuple[str, Draw | None]]:
    """Each step in the pipeline's order: the name of its artifact, and what draws it; None where it is not there."""
    yield "activations", _drawn(folder / "activations", "activations", _activations)
    yield "cams", _drawn(folder / "cams", "cams", lambda s, r: [("CAMs of the tags", _coloured(s, r, "cams"))])
    for prior in PRIORS:
        yield f"priors/{prior}", _drawn(folder / "priors" / prior, "probabilities", _prior(f"{prior} prior"))
    for prior in PRIORS:
        second = folder / "refit" / prior / "maps"
        if second.is_dir():  # without a second round there is nothing to miss
            yield f"refit/{prior}/maps", _drawn(second, "probabilities", _prior(f"{prior}, second round"))
    yield "regions", _drawn(folder / "regions", "regions", _regions)
    for prior in PRIORS:
        found = [crf for crf in CRFS if (folder / "masks" / f"{prior}-{crf}").is_dir()]
        for crf in found or ["*"]:
            name = f"masks/{prior}-{crf}"
            yield name, _drawn(folder / name, "labels", _labels(f"{prior} mask\nCRF {crf}", {}))
    experiments = [path for path in sorted((folder / "predictions").glob("*")) if path.is_dir()]
    if not experiments:
        yield "predictions", None
    for experiment in experiments:
        yield from _predictions(experiment, truth)
    yield "ground_truth.csv", lambda r: [("truth", read_labels(truth[r.id]))] if r.id in truth else []


def _predictions(experiment: Path, truth: dict[str, Path]) -> Iterator[tuple[str, Draw]]:
    """Label maps of each CRF, whatever their split; where there are none yet, the largest score."""
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
    """What draws an image from the shards of a folder, and nothing of an image that they do not hold."""
    return _first(draw, [_shards(folder, kind)]) if any(folder.glob("*.h5")) else None


def _first(draw: Callable[[ShardSet, ImageRecord], Cells], sets: list[ShardSet]) -> Draw:
    return lambda record: next((draw(shards, record) for shards in sets if record.id in shards), [])


def _activations(shards: ShardSet, record: ImageRecord) -> Cells:
    """conv4 and conv5, each the mean over the scales at which the image was looked at, every map scaled to [0, 1]."""
    cells = []
    for layer in ("conv4", "conv5"):
        names = [name for name in shards.names(record.id) if name.split("-")[0] == layer]
        maps = [scale_min_max(resize_map(shards.get(record.id, name), _size(record))) for name in names]
        if maps:
            scales = "" if len(maps) == 1 else f", mean of {len(maps)} scales"
            cells.append((f"{layer}{scales}", np.mean(maps, axis=0)))
    return cells


def _prior(title: str) -> Callable[[ShardSet, ImageRecord], Cells]:
    """One map of foreground as it is, those of several classes in their colours."""

    def draw(shards: ShardSet, record: ImageRecord) -> Cells:
        if title.startswith("fgbg"):
            return [(title, resize_map(shards.get(record.id, "maps")[1], _size(record)))]
        return [(title, _coloured(shards, record, "maps"))]

    return draw


def _coloured(shards: ShardSet, record: ImageRecord, name: str) -> np.ndarray:
    maps = [resize_map(values, _size(record)) for values in shards.get(record.id, name)]
    return colour_cams(np.array(maps).reshape(-1, *_size(record)), shards.get(record.id, "labels"))


def _regions(shards: ShardSet, record: ImageRecord) -> Cells:
    labels = shards.get(record.id, "labels")
    return [(f"{len(np.unique(labels))} regions", paint_regions(read_image(record.path), labels))]


def _labels(title: str, truth: dict[str, Path]) -> Callable[[ShardSet, ImageRecord], Cells]:
    """A label map, one of any foreground as a map in [0, 1]; with the image's mean IoU, where there is truth."""

    def draw(shards: ShardSet, record: ImageRecord) -> Cells:
        labels = shards.get(record.id, "mask")
        if title.startswith("fgbg mask"):  # its 1 is no class
            return [(title, labels.astype(np.float32))]
        if record.id not in truth:
            return [(title, labels)]
        right = read_labels(truth[record.id])
        matrix = ConfusionMatrix(int(max(labels.max(), np.where(right == IGNORE, 0, right).max())) + 1)
        try:
            matrix.update(right, labels)
        except ValueError as error:
            raise TagsegError(f"{truth[record.id]}: {error}; mend the mask, or take it out") from None
        return [(f"{title}, mIoU {100 * matrix.mean_iou():.1f}", labels)]

    return draw


def _scores(title: str) -> Callable[[ShardSet, ImageRecord], Cells]:
    def draw(shards: ShardSet, record: ImageRecord) -> Cells:
        return [(title, strongest(shards.get(record.id, "maps"), _size(record)))]

    return draw


def _size(record: ImageRecord) -> tuple[int, int]:
    return record.height, record.width
