"""Pictures that show an image's way through the pipeline."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from tagseg.labels import IGNORE, voc_palette

_CELL = 1.9  # inches


def colour_labels(labels: np.ndarray) -> np.ndarray:
    """Label map (H, W) uint8 -> (H, W, 3) uint8 in the VOC palette."""
    return voc_palette()[labels]


def colour_cams(cams: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """CAMs (C, H, W) in [0, 1] -> (H, W, 3) uint8: each class in its own colour, as bright as its map."""
    palette = voc_palette().astype(np.float32)
    shape = cams.shape[1:]
    mixed = sum(
        (cam[..., None] * palette[label] for cam, label in zip(cams, labels, strict=True)),
        np.zeros((*shape, 3)),
    )
    return np.clip(mixed, 0, 255).astype(np.uint8)


def over_image(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A map (H, W) in [0, 1] in colours over its image (H, W, 3) uint8, which shows where the map is low; uint8."""
    coloured = colormaps["magma"](heat)[..., :3] * 255
    strength = 0.25 + 0.5 * heat[..., None]
    return np.clip(strength * coloured + (1 - strength) * image, 0, 255).astype(np.uint8)


def picture_grid(columns: Sequence[str], rows: Sequence[Sequence[np.ndarray]], names: Sequence[str]) -> Figure:
    """A grid of pictures: one row an image (named at its left), one column a step.

    A picture is (H, W, 3) uint8 or a map (H, W) float in [0, 1].
    """
    heights = [max(picture.shape[0] / picture.shape[1] for picture in row) for row in rows]
    figure = Figure(figsize=(_CELL * len(columns), _CELL * sum(heights) + 0.9), dpi=110, layout="constrained")
    axes = figure.subplots(len(rows), len(columns), squeeze=False, height_ratios=heights)
    for line, (row, name) in enumerate(zip(rows, names, strict=True)):
        for cell, picture in zip(axes[line], row, strict=True):
            cell.set_xticks([])
            cell.set_yticks([])
            cell.imshow(picture, cmap="magma", vmin=0, vmax=1, interpolation="auto")
        axes[line][0].set_ylabel(name, fontsize=6)
    for cell, column in zip(axes[0], columns, strict=True):
        cell.set_title(column, fontsize=8)
    return figure


def _is_label_map(picture: np.ndarray) -> bool:
    return picture.ndim == 2 and picture.dtype == np.uint8


def panel_figure(
    columns: Sequence[str], rows: Sequence[Sequence[np.ndarray]], names: Sequence[str], classes: list[str]
) -> Figure:
    """A grid of pictures: one row an image (named at its left), one column a step; a legend of the classes in use.

    A picture is (H, W, 3) uint8, a label map (H, W) uint8, or a map (H, W) float in [0, 1].
    """
    used: set[int] = set()
    painted = []
    for row in rows:
        used |= {int(label) for picture in row if _is_label_map(picture) for label in np.unique(picture)}
        painted.append([colour_labels(picture) if _is_label_map(picture) else picture for picture in row])
    figure = picture_grid(columns, painted, names)
    _class_legend(figure, used, classes)
    return figure


def sheet_figure(
    blocks: Sequence[tuple[str, Sequence[tuple[str, np.ndarray]]]], classes: list[str], columns: int = 6
) -> Figure:
    """A contact sheet: of each image its name and its pictures, each with a title, in lines of `columns`.

    Pictures are as in `panel_figure`; below stands a legend of the classes in use.
    """
    used = {int(v) for _, cells in blocks for _, p in cells if _is_label_map(p) for v in np.unique(p)}
    lines = [
        (name if start == 0 else "", cells[start : start + columns])
        for name, cells in blocks
        for start in range(0, len(cells), columns)
    ]
    heights = [max(picture.shape[0] / picture.shape[1] for _, picture in cells) + 0.12 for _, cells in lines]
    figure = Figure(figsize=(_CELL * columns, _CELL * sum(heights) + 0.7), dpi=110, layout="constrained")
    axes = figure.subplots(len(lines), columns, squeeze=False, height_ratios=heights)
    for field in axes.ravel():
        field.set_axis_off()
    for row, (name, cells) in zip(axes, lines, strict=True):
        for field, (title, picture) in zip(row, cells, strict=False):
            field.set_axis_on()
            field.set_xticks([])
            field.set_yticks([])
            painted = colour_labels(picture) if _is_label_map(picture) else picture
            field.imshow(painted, cmap="magma", vmin=0, vmax=1, interpolation="auto")
            field.set_title(title, fontsize=7)
        row[0].set_ylabel(name, fontsize=7)
    _class_legend(figure, used, classes)
    return figure


def _class_legend(figure: Figure, used: set[int], classes: list[str]) -> None:
    palette = voc_palette() / 255
    patches = [
        Patch(color=palette[label], label=classes[label]) for label in sorted(used - {IGNORE}) if label < len(classes)
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=min(8, max(1, len(patches))), fontsize=7)


def experiment_chart(names: Sequence[str], without: Sequence[float], with_crf: Sequence[float], title: str) -> Figure:
    """Bars of mIoU in percent, without and with the CRF, one pair an experiment."""
    figure = Figure(figsize=(1.6 + 1.25 * len(names), 3.6), dpi=110, layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(names))
    for offset, values, label, colour in (
        (-0.2, without, "network", "#9ecae1"),
        (0.2, with_crf, "network + CRF", "#3182bd"),
    ):
        bars = axes.bar(places + offset, values, 0.38, label=label, color=colour)
        axes.bar_label(bars, fmt="%.1f", fontsize=8)
    axes.set_xticks(places, [name.replace("_", "\n") for name in names])
    axes.set_ylabel("mIoU (%)")
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)  # inside, it would lie on bars
    return figure
