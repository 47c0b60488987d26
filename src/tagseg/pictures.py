"""Figures as files: PNG and SVG by suffix, equal bytes for equal figures."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from tagseg.errors import TagsegError
from tagseg.figures.encoding import FORMATS, figure_bytes
from tagseg.store import atomic


def write_figure(figure: Figure, *outputs: Path) -> None:
    """Write one figure to files whose suffixes name the format. Raises TagsegError for a suffix that is no format."""
    for output in checked_outputs(outputs):
        with atomic(output) as temporary:
            temporary.write_bytes(figure_bytes(figure, FORMATS[output.suffix.lower()]))


def checked_outputs(outputs: Sequence[Path]) -> Sequence[Path]:
    """The same paths. Raises TagsegError for a suffix that is no format; a stage asks before it reads for minutes."""
    for output in outputs:
        if output.suffix.lower() not in FORMATS:
            raise TagsegError(f"{output}: a picture is one of {', '.join(FORMATS)}; give it such a suffix")
    return outputs
