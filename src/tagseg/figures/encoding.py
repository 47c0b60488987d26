"""A figure as bytes that depend on the figure alone."""

import io
from typing import Literal

import matplotlib
from matplotlib.figure import Figure

Format = Literal["png", "svg"]
FORMATS: dict[str, Format] = {".png": "png", ".svg": "svg"}
# A PNG says which program made it, an SVG when, and names its parts at random: none of that belongs to the figure.
_METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


def figure_bytes(figure: Figure, kind: Format) -> bytes:
    """The file of a figure. Letters of an SVG are drawn as shapes, so that it looks the same without the fonts."""
    matplotlib.use("Agg")
    target = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "tagseg", "svg.fonttype": "path"}):
        figure.savefig(target, format=kind, metadata=_METADATA[kind])
    return target.getvalue()
