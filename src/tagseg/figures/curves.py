"""Curves: the course of trainings, accuracy beside boundaries."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import uniform_filter1d

_SHOWN = 2000  # points of a line: more cannot be told apart


def loss_figure(trainings: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str) -> Figure:
    """Loss against step, a field for each training: its mean over a fiftieth of the steps, the steps behind it.

    `trainings` gives steps (n,) and losses (n,) by name. Losses of different kinds of masks are sums of different
    terms, so each field has a scale of its own.
    """
    rows = -(-len(trainings) // 3)
    columns = -(-len(trainings) // rows)
    figure = Figure(figsize=(3.6 * columns, 2.6 * rows), dpi=110, layout="constrained")
    fields = figure.subplots(rows, columns, squeeze=False).ravel()
    for field, (name, (steps, losses)) in zip(fields, trainings.items(), strict=False):
        width = max(1, len(losses) // 50)
        shown = slice(None, None, max(1, len(losses) // _SHOWN))
        field.plot(steps[shown], losses[shown], color="#c6dbef", linewidth=0.6)
        field.plot(steps[shown], uniform_filter1d(losses, width, mode="nearest")[shown], color="#08519c")
        field.set_title(name.replace("_", " "), fontsize=9)
        # single steps of a batch of one image reach far up; the course of the mean is what matters
        low, high = np.quantile(losses, [0.0, 0.98])
        field.set_ylim(min(low, 0), high * 1.05 or 1)
        field.spines[["top", "right"]].set_visible(False)
        field.tick_params(labelsize=7)
    for field in fields[len(trainings) :]:
        field.remove()
    figure.supxlabel("step", fontsize=9)
    figure.supylabel("loss", fontsize=9)
    figure.suptitle(title, fontsize=10)
    return figure


def trimap_figure(curves: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray, np.ndarray]], title: str) -> Figure:
    """Pixel accuracy and mIoU in percent against the width of the band around boundaries (Fig. 10).

    `curves` gives widths (n,), accuracies (n,) and mIoU (n,) by method and CRF: a colour a method, dashed without CRF.
    """
    figure = Figure(figsize=(8.4, 3.6), dpi=110, layout="constrained")
    colours: dict[str, str] = {}
    for field, place, name in zip(figure.subplots(1, 2), (1, 2), ("pixel accuracy (%)", "mIoU (%)"), strict=True):
        for (method, crf), values in curves.items():
            colour = colours.setdefault(method, f"C{len(colours)}")
            style = "--" if crf == "none" else "-"
            label = f"{method.replace('_', ' ')}{'' if crf == 'none' else ' + CRF'}"
            field.plot(values[0], values[place], style, color=colour, linewidth=1.4, label=label)
        field.set_xlabel("width of the band (pixels)", fontsize=9)
        field.set_ylabel(name, fontsize=9)
        field.set_xlim(left=0)
        field.grid(color="#eeeeee")
        field.spines[["top", "right"]].set_visible(False)
        field.tick_params(labelsize=8)
    handles, labels = field.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=10)
    return figure
