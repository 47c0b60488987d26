"""A grid of panels: the one layout of all figures that show images."""

from collections.abc import Sequence
from textwrap import wrap
from unicodedata import east_asian_width

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from tagseg.figures.panels import Panel
from tagseg.figures.style import hide_ticks, new_figure
from tagseg.images.palette import voc_palette

# Inches that a panel is wide: as one of many, as one of a few, as a mere thumbnail.
CELL = 1.9
LARGE_CELL = 2.6
SMALL_CELL = 1.05

_HEADING, _TEXT = 8, 7  # points: of the titles of columns, of all other text
_LINE = 1.25  # from line to line of a text, in letter heights
_LEGEND_LINE = 0.25  # inches
_MARGIN = 0.1  # inches between the lines of a grid
_FEWEST_LETTERS = 12  # of a line of text: a name in pieces cannot be read, even beside a panorama

Cell = tuple[str, Panel]  # a title, and what stands below it
Row = tuple[str, Sequence[Cell]]  # a label at the left, and the cells beside it


def image_grid(
    rows: Sequence[Row], classes: Sequence[str] = (), *, columns: int | None = None, cell: float = CELL
) -> Figure:
    """Draw rows of panels, and below them a legend of the classes whose colours they have.

    Without `columns` the titles head the columns, and every row has those of the first. With `columns`, each panel has
    its own title above it, and a row goes on over as many lines of `columns` panels as it takes. `classes` are names by
    label, background first; a label without a name is left out of the legend. `cell` is the width of a panel in inches.
    Titles and labels too long for their panel are wrapped. Raises ValueError for no row, or columns that differ.
    """
    if not rows:
        raise ValueError("a grid without rows")
    size = _HEADING if columns is None else _TEXT
    width = columns or len(rows[0][1])
    lines = _under_headings(rows) if columns is None else _wrapped(rows, columns)
    lines = [_fitted_line(line, cell, size) for line in lines]
    heights = [_height(cells, cell) for _, cells in lines]
    legend = _legend({label for _, cells in rows for _, panel in cells for label in panel.labels}, classes)
    per_line = _entries_per_line(legend, width * cell)
    left = _text_height([label for label, _ in lines], _TEXT)
    above = sum(_MARGIN + _text_height([title for title, _ in cells], size) for _, cells in lines)
    below = -(-len(legend) // per_line) * _LEGEND_LINE
    figure = new_figure(left + width * cell, above + sum(heights) + below)
    grid = figure.subplots(len(lines), width, squeeze=False, height_ratios=heights)
    for axes_of_line, (label, cells) in zip(grid, lines, strict=True):
        axes_of_line[0].set_ylabel(label, fontsize=_TEXT)
        for axes, (title, panel) in zip(axes_of_line, cells, strict=False):
            hide_ticks(axes)
            axes.imshow(panel.pixels, interpolation="auto")
            axes.set_title(title, fontsize=size)
        for axes in axes_of_line[len(cells) :]:
            axes.set_axis_off()
    if legend:
        figure.legend(handles=legend, loc="outside lower center", ncols=per_line, fontsize=_TEXT)
    return figure


def _under_headings(rows: Sequence[Row]) -> list[Row]:
    """The rows with titles over the first alone. Raises ValueError if another has other titles."""
    headings = [title for title, _ in rows[0][1]]
    for label, cells in rows:
        if [title for title, _ in cells] != headings:
            raise ValueError(f"row {label!r} has other columns than {', '.join(headings)}")
    return [rows[0], *((label, [("", panel) for _, panel in cells]) for label, cells in rows[1:])]


def _wrapped(rows: Sequence[Row], columns: int) -> list[Row]:
    """The rows in lines of up to `columns` cells; the label stands at the first line of its row."""
    return [
        (label if start == 0 else "", cells[start : start + columns])
        for label, cells in rows
        for start in range(0, len(cells), columns)
    ]


def _fitted_line(line: Row, cell: float, size: float) -> Row:
    """The same line with titles that fit the width of a panel, and a label that fits the height."""
    label, cells = line
    return (
        _fitted(label, _height(cells, cell), _TEXT),
        [(_fitted(title, cell, size), panel) for title, panel in cells],
    )


def _height(cells: Sequence[Cell], width: float) -> float:
    """Inches that the tallest of panels of one width is high."""
    return max(width * panel.pixels.shape[0] / panel.pixels.shape[1] for _, panel in cells)


def _fitted(text: str, inches: float, size: float) -> str:
    """Text whose lines are broken where letters of `size` points would be longer than `inches`."""
    wide = sum(east_asian_width(letter) in "WF" for letter in text) / max(1, len(text))
    letters = max(_FEWEST_LETTERS, int(inches * 72 / (0.6 * (1 + wide) * size)))
    return "\n".join(part for line in text.split("\n") for part in wrap(line, letters, replace_whitespace=False))


def _text_height(texts: Sequence[str], size: float) -> float:
    """Inches that the text of the most lines takes; none if all are empty."""
    return max((text.count("\n") + 1 for text in texts if text), default=0) * _LINE * size / 72


def _legend(labels: set[int], classes: Sequence[str]) -> list[Patch]:
    palette = voc_palette() / 255
    return [Patch(color=palette[label], label=classes[label]) for label in sorted(labels) if label < len(classes)]


def _entries_per_line(legend: Sequence[Patch], inches: float) -> int:
    """How many entries stand side by side, at most eight: all if they fit, else columns as wide as the longest."""
    widths = [(0.6 * len(str(patch.get_label())) + 5) * _TEXT / 72 for patch in legend]
    if len(legend) <= 8 and sum(widths) <= inches:
        return max(1, len(legend))
    return max(1, min(8, int(inches / max(widths))))
