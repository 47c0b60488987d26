"""Bar charts: mIoU of the experiments, IoU of each class beside the published."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tagseg.figures.style import hide_upper_right, new_figure

_COLOURS = ["#9ecae1", "#4292c6", "#08519c", "#a1d99b", "#41ab5d", "#006d2c", "#fdae6b", "#e6550d"]
_MARKERS = "dosv^"


def experiment_chart(
    names: Sequence[str], without_crf: Sequence[float], with_crf: Sequence[float], title: str
) -> Figure:
    """Two bars for each experiment: its mIoU in percent without and with the CRF."""
    figure = new_figure(1.6 + 1.25 * len(names), 3.6)
    axes = figure.subplots()
    positions = np.arange(len(names))
    for offset, values, label, colour in (
        (-0.2, without_crf, "network", "#9ecae1"),
        (0.2, with_crf, "network + CRF", "#3182bd"),
    ):
        bars = axes.bar(positions + offset, values, 0.38, label=label, color=colour)
        axes.bar_label(bars, fmt="%.1f", fontsize=8)
    axes.set_xticks(positions, [name.replace("_", "\n") for name in names])
    axes.set_ylabel("mIoU (%)")
    axes.set_title(title)
    hide_upper_right(axes)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)  # inside, it would cover bars
    return figure


def class_bars(
    names: Sequence[str],
    measured: Mapping[str, np.ndarray],
    published: Mapping[str, np.ndarray],
    title: str,
) -> Figure:
    """IoU of each class in percent: bars for measured methods, markers for published ones.

    Values are (N,) by method, in the order of the N class names, NaN where unknown. Classes stand below each other, so
    that 80 are as readable as 8, and on a narrow page too. Classes of which nothing is known are named below the
    figure. A bar has its value beside it, which tells 0 from unknown.
    """
    known: np.ndarray = np.any(np.isfinite([*measured.values(), *published.values()]), axis=0)
    missing = [name for name, has_value in zip(names, known, strict=True) if not has_value]
    names = [name for name, has_value in zip(names, known, strict=True) if has_value]
    measured, published = ({m: values[known] for m, values in group.items()} for group in (measured, published))
    class_height = 0.16 * max(2, len(measured)) + 0.14
    legend_lines = -(-(len(measured) + len(published)) // 2)
    figure = new_figure(6.4, 1.1 + 0.2 * legend_lines + class_height * len(names))
    axes = figure.subplots()
    positions = np.arange(len(names))
    thickness = 0.8 / max(1, len(measured))
    # handed to the legend: by itself it leaves out names that begin with an underscore
    measured_handles: list[BarContainer] = []
    published_handles: list[Line2D] = []
    for i, (method, values) in enumerate(measured.items()):
        offset = (i - (len(measured) - 1) / 2) * thickness
        bars = axes.barh(
            positions + offset, np.nan_to_num(values), thickness, label=method, color=_COLOURS[i % len(_COLOURS)]
        )
        measured_handles.append(bars)
        axes.bar_label(bars, [f"{iou:.0f}" if np.isfinite(iou) else "" for iou in values], padding=2, fontsize=5)
    for i, (method, values) in enumerate(published.items()):
        marker = _MARKERS[i % len(_MARKERS)]
        style = "full" if i else "none"
        published_handles += axes.plot(
            values, positions, marker, color="black", markersize=4, label=method, fillstyle=style
        )
    axes.set_yticks(positions, names, fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    label = "IoU (%)" + (f"\nin no truth and no prediction: {', '.join(missing)}" if missing else "")
    axes.set_xlabel(fill(label, 90, replace_whitespace=False), fontsize=8)
    axes.grid(axis="x", color="#eeeeee")
    axes.set_axisbelow(True)
    hide_upper_right(axes)
    axes.tick_params(labelsize=8)
    legend = [*published_handles, *measured_handles]
    figure.legend(handles=legend, loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    figure.suptitle(title, fontsize=10)
    return figure
