"""Figures with a place for each class: average maps, the confusion matrix."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from tagseg.figures.grid import SMALL_CELL, Row, image_grid
from tagseg.figures.panels import Panel, heat_panel
from tagseg.figures.style import new_figure

_COLUMNS = 10  # classes side by side, at most
_MOST_WITH_NUMBERS = 25  # classes up to which the numbers are written into a confusion matrix


def average_figure(
    names: Sequence[str], images: Sequence[int], maps: np.ndarray, truth: np.ndarray, missing: Sequence[str]
) -> Figure:
    """Average localization maps (C, S, S) above average truth (C, S, S), both in [0, 1], by class (Fig. 9).

    `names` of the C classes, and how many `images` each was averaged over; `missing` are the classes that no image has.
    Averages are pale, so the largest value of `maps` is shown as 1, and so is that of `truth`: maps compare with maps
    and truth with truth, but not one with the other.
    """
    blocks = -(-len(names) // _COLUMNS)
    columns = -(-len(names) // max(1, blocks))
    titles = [f"{name}\n{count} image{'s' * (count != 1)}" for name, count in zip(names, images, strict=True)]
    above, below = _heat_panels(maps), _heat_panels(truth)
    rows: list[Row] = []
    for start in range(0, len(names), columns):
        block = slice(start, start + columns)
        rows.append(("localization", list(zip(titles[block], above[block], strict=True))))
        rows.append(("truth", [("", panel) for panel in below[block]]))
    figure = image_grid(rows, columns=columns, cell=SMALL_CELL) if rows else new_figure(4, 0.5)
    if missing:
        figure.supxlabel(f"in no image: {', '.join(missing)}", fontsize=7)
    return figure


def _heat_panels(maps: np.ndarray) -> list[Panel]:
    """A panel for each of (C, S, S), the largest value of all as 1."""
    largest = max(float(maps.max(initial=0)), 1e-9)
    return [heat_panel(values / largest) for values in maps]


def confusion_figure(names: Sequence[str], shares: np.ndarray, title: str) -> Figure:
    """Row-normalised confusion matrix (N, N) in [0, 1] (Fig. 11): truth in rows, prediction in columns.

    A class without true pixels has a row of NaN, shown grey. Up to 25 classes, each share is written in percent.
    """
    count = len(names)
    side = 1.9 + max(0.26 * count, 1.6)
    figure = new_figure(side + 0.5, side)
    axes = figure.subplots()
    colours = colormaps["Blues"].with_extremes(bad="#dddddd")
    matrix = axes.imshow(np.ma.masked_invalid(shares), cmap=colours, vmin=0, vmax=1, interpolation="nearest")
    size = 7 if count <= _MOST_WITH_NUMBERS else 5
    axes.set_xticks(range(count), names, rotation=90, fontsize=size)
    axes.set_yticks(range(count), names, fontsize=size)
    axes.set_xlabel("predicted", fontsize=8)
    axes.set_ylabel("truth", fontsize=8)
    axes.set_title(title, fontsize=9)
    if count <= _MOST_WITH_NUMBERS:
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.005:
                colour = "white" if share > 0.5 else "black"
                axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=5, color=colour)
    bar = figure.colorbar(matrix, shrink=0.6)
    bar.set_label("share of the class's true pixels", fontsize=7)
    bar.ax.tick_params(labelsize=6)
    return figure
