"""What all figures share: resolution, layout, and axes with as few lines as possible."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

DPI = 110  # pixels per inch


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, in which axes, titles and legends make room for each other."""
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def hide_ticks(axes: Axes) -> None:
    """No ticks and no numbers at either axis."""
    axes.set_xticks([])
    axes.set_yticks([])


def hide_upper_right(axes: Axes) -> None:
    """No frame above and at the right: the two axes alone."""
    axes.spines[["top", "right"]].set_visible(False)
