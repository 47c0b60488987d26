"""A figure as bytes that depend on the figure alone."""

import io
import warnings
from typing import Any, Literal

import matplotlib
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from tagseg.figures.letters import drawable, families_for, quiet
from tagseg.images.marks import FIGURE, NAME

Format = Literal["png", "svg"]
FORMATS: dict[str, Format] = {".png": "png", ".svg": "svg"}
# A PNG says that matplotlib made it, an SVG when, and names its parts at random: none of that belongs to the figure.
# That it is tagseg's does: no later command is to take it for a photograph.
_METADATA = {"png": {"Software": None, NAME: FIGURE}, "svg": {"Date": None, "Creator": NAME}}
# Texts are names, never formulas: `$` is a dollar sign.
_SETTINGS: Any = {"svg.hashsalt": "tagseg", "svg.fonttype": "path", "text.parse_math": False}


def figure_bytes(figure: Figure, kind: Format) -> bytes:
    """The file of a figure. Letters of an SVG are drawn as shapes, so that it looks the same without the fonts.

    Every text stands as it is, and in fonts that have its letters; a character that no font has, as its code.
    """
    matplotlib.use("Agg")
    target = io.BytesIO()
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings(), quiet():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        _plain_texts(figure)
        _settle_layout(figure)
        figure.savefig(target, format=kind, metadata=_METADATA[kind])
    return target.getvalue()


def _settle_layout(figure: Figure) -> None:
    """Lay a figure out once and for all, with axes at places of nine digits.

    The solver of the layout takes its equations in an order that differs from process to process, and so do the last
    digits of its solution. An SVG names the parts of its axes by every digit of their places.
    """
    engine = figure.get_layout_engine()
    if engine is None:
        return
    engine.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        place = axes.get_position(original=True)
        axes.set_position(Bbox(place.get_points().round(9)))


def _plain_texts(figure: Figure) -> None:
    """Have the texts of a figure, those of ticks among them, drawn as they stand."""
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        if labels != (shown := [drawable(label) for label in labels]):
            axis.set_ticks(axis.get_ticklocs(), shown)
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    families = families_for("".join(text.get_text() for text in texts))
    for text in texts:
        text.set_parse_math(False)
        text.set_text(drawable(text.get_text()))
        if families:
            text.set_fontfamily([*text.get_fontfamily(), *families])
