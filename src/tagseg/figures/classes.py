"""Figures with a place for each class: average maps, the confusion matrix, IoU beside the published."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_COLUMNS = 10
_WRITTEN = 25  # classes up to which a confusion matrix has its figures written in
_COLOURS = ["#9ecae1", "#4292c6", "#08519c", "#a1d99b", "#41ab5d", "#006d2c", "#fdae6b", "#e6550d"]
_MARKS = "dosv^"


def average_figure(
    names: Sequence[str], images: Sequence[int], found: np.ndarray, truth: np.ndarray, missing: Sequence[str]
) -> Figure:
    """Average localization maps (C, S, S) above average truth (C, S, S), both in [0, 1], by class (Fig. 9).

    `names` and numbers of `images` are those of the C classes; `missing` are classes that no image has. A map is shown
    from 0 to the largest value of its kind, since averages are pale; figures of one kind compare with each other.
    """
    blocks = max(1, -(-len(names) // _COLUMNS))
    columns = max(1, -(-len(names) // blocks))
    height = 2.45 * blocks + (0.45 if missing else 0.2)
    figure = Figure(figsize=(1.05 * columns + 0.5, height), dpi=110, layout="constrained")
    fields = figure.subplots(2 * blocks, columns, squeeze=False)
    for field in fields.ravel():
        field.set_axis_off()
    for i, name in enumerate(names):
        row, column = divmod(i, columns)
        for offset, maps, kind in ((0, found, "localization"), (1, truth, "truth")):
            field = fields[2 * row + offset, column]
            field.set_axis_on()
            _bare(field)
            field.imshow(maps[i], cmap="magma", vmin=0, vmax=max(float(maps.max()), 1e-9), interpolation="auto")
            if column == 0:
                field.set_ylabel(kind, fontsize=7)
        fields[2 * row, column].set_title(f"{name}\n{images[i]} image{'s' * (images[i] != 1)}", fontsize=7)
    if missing:
        figure.supxlabel(f"in no image: {', '.join(missing)}", fontsize=7)
    return figure


def confusion_figure(names: Sequence[str], shares: np.ndarray, title: str) -> Figure:
    """Row-normalised confusion matrix (N, N) in [0, 1] (Fig. 11): truth in rows, prediction in columns.

    A class without true pixels has a row of NaN, shown grey.
    """
    count = len(names)
    side = 1.9 + max(0.26 * count, 1.6)
    figure = Figure(figsize=(side + 0.5, side), dpi=110, layout="constrained")
    field = figure.subplots()
    colours = colormaps["Blues"].with_extremes(bad="#dddddd")
    shown = field.imshow(np.ma.masked_invalid(shares), cmap=colours, vmin=0, vmax=1, interpolation="nearest")
    size = 7 if count <= _WRITTEN else 5
    field.set_xticks(range(count), names, rotation=90, fontsize=size)
    field.set_yticks(range(count), names, fontsize=size)
    field.set_xlabel("predicted", fontsize=8)
    field.set_ylabel("truth", fontsize=8)
    field.set_title(title, fontsize=9)
    if count <= _WRITTEN:
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.005:
                colour = "white" if share > 0.5 else "black"
                field.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=5, color=colour)
    bar = figure.colorbar(shown, shrink=0.6)
    bar.set_label("share of the class's true pixels", fontsize=7)
    bar.ax.tick_params(labelsize=6)
    return figure


def class_bars(
    names: Sequence[str],
    measured: Mapping[str, np.ndarray],
    published: Mapping[str, np.ndarray],
    title: str,
) -> Figure:
    """IoU of each class in percent: a bar a measured method, a mark a published one; arrays (N,), NaN where unknown.

    Classes stand below each other, so that the figure is as readable with 80 as with 8, and on a narrow page. Those
    of which nothing is known are named below it. A bar has its figure beside it, which tells 0 from unknown.
    """
    known: np.ndarray = np.any(np.isfinite([*measured.values(), *published.values()]), axis=0)
    missing = [name for name, one in zip(names, known, strict=True) if not one]
    names = [name for name, one in zip(names, known, strict=True) if one]
    measured, published = ({m: values[known] for m, values in group.items()} for group in (measured, published))
    each = 0.16 * max(2, len(measured)) + 0.14
    lines = -(-(len(measured) + len(published)) // 2)
    figure = Figure(figsize=(6.4, 1.1 + 0.2 * lines + each * len(names)), dpi=110, layout="constrained")
    field = figure.subplots()
    places = np.arange(len(names))
    thick = 0.8 / max(1, len(measured))
    for i, (method, values) in enumerate(measured.items()):
        offset = (i - (len(measured) - 1) / 2) * thick
        bars = field.barh(
            places + offset, np.nan_to_num(values), thick, label=method, color=_COLOURS[i % len(_COLOURS)]
        )
        field.bar_label(bars, [f"{iou:.0f}" if np.isfinite(iou) else "" for iou in values], padding=2, fontsize=5)
    for i, (method, values) in enumerate(published.items()):
        mark = _MARKS[i % len(_MARKS)]
        field.plot(values, places, mark, color="black", markersize=4, label=method, fillstyle="full" if i else "none")
    field.set_yticks(places, names, fontsize=8)
    field.set_ylim(len(names) - 0.4, -0.6)
    field.set_xlim(0, 100)
    label = "IoU (%)" + (f"\nin no truth and no prediction: {', '.join(missing)}" if missing else "")
    field.set_xlabel(fill(label, 90, replace_whitespace=False), fontsize=8)
    field.grid(axis="x", color="#eeeeee")
    field.set_axisbelow(True)
    field.spines[["top", "right"]].set_visible(False)
    field.tick_params(labelsize=8)
    figure.legend(loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    figure.suptitle(title, fontsize=10)
    return figure


def _bare(field: Axes) -> None:
    field.set_xticks([])
    field.set_yticks([])
