"""Curves: the loss of trainings, accuracy near boundaries."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import uniform_filter1d

from tagseg.figures.style import hide_upper_right, new_figure

_MOST_POINTS = 2000  # of a line: more cannot be told apart


def loss_figure(trainings: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str) -> Figure:
    """Loss against step, one plot for each training: each step, and the average over a fiftieth of the steps.

    `trainings` gives steps (n,) and losses (n,) by name. The losses of different masks are sums of different terms, so
    each plot has its own scale.
    """
    rows = -(-len(trainings) // 3)
    columns = -(-len(trainings) // rows)
    figure = new_figure(3.6 * columns, 2.6 * rows)
    plots = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, (steps, losses)) in zip(plots, trainings.items(), strict=False):
        window = max(1, len(losses) // 50)
        drawn = slice(None, None, max(1, len(losses) // _MOST_POINTS))
        axes.plot(steps[drawn], losses[drawn], color="#c6dbef", linewidth=0.6)
        axes.plot(steps[drawn], uniform_filter1d(losses, window, mode="nearest")[drawn], color="#08519c")
        axes.set_title(name.replace("_", " "), fontsize=9)
        # single steps of a batch of one image reach far up; what matters is how the average moves
        low, high = np.quantile(losses, [0.0, 0.98])
        axes.set_ylim(min(low, 0), high * 1.05 or 1)
        hide_upper_right(axes)
        axes.tick_params(labelsize=7)
    for axes in plots[len(trainings) :]:
        axes.remove()
    figure.supxlabel("step", fontsize=9)
    figure.supylabel("loss", fontsize=9)
    figure.suptitle(title, fontsize=10)
    return figure


def trimap_figure(curves: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray, np.ndarray]], title: str) -> Figure:
    """Pixel accuracy and mIoU in percent against the width of a band around the boundaries (Fig. 10).

    `curves` gives widths (n,), accuracies (n,) and mIoU (n,) by method and CRF: one colour for each method, dashed
    without a CRF.
    """
    figure = new_figure(8.4, 3.6)
    colours: dict[str, str] = {}
    for axes, row, name in zip(figure.subplots(1, 2), (1, 2), ("pixel accuracy (%)", "mIoU (%)"), strict=True):
        for (method, crf), values in curves.items():
            colour = colours.setdefault(method, f"C{len(colours)}")
            style = "--" if crf == "none" else "-"
            label = f"{method.replace('_', ' ')}{'' if crf == 'none' else ' + CRF'}"
            axes.plot(values[0], values[row], style, color=colour, linewidth=1.4, label=label)
        axes.set_xlabel("width of the band (pixels)", fontsize=9)
        axes.set_ylabel(name, fontsize=9)
        axes.set_xlim(left=0)
        axes.grid(color="#eeeeee")
        hide_upper_right(axes)
        axes.tick_params(labelsize=8)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=10)
    return figure
