"""A sheet of photographs under their masks, to see at a glance what the masks are worth."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from tagseg.figures.overlay import painted
from tagseg.labels import IGNORE, voc_palette

_COLUMNS, _CELL = 4, 2.6  # inches


def preview_figure(
    images: Sequence[np.ndarray], labels: Sequence[np.ndarray], names: Sequence[str], classes: list[str]
) -> Figure:
    """Photographs (H, W, 3) uint8 under the colours of their label maps (H, W) uint8, four a row; a legend below."""
    rows = -(-len(images) // _COLUMNS)
    figure = Figure(figsize=(_CELL * _COLUMNS, (_CELL * 0.85 + 0.15) * rows + 0.8), dpi=110, layout="constrained")
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for cell in axes:
        cell.set_axis_off()
    for cell, image, mask, name in zip(axes, images, labels, names, strict=False):
        cell.imshow(painted(image, mask))
        cell.set_title(name, fontsize=7)
    used = sorted({int(label) for mask in labels for label in np.unique(mask)} - {0, IGNORE})
    patches = [Patch(color=voc_palette()[label] / 255, label=classes[label]) for label in used]
    if patches:
        figure.legend(handles=patches, loc="outside lower center", ncols=min(8, len(patches)), fontsize=7)
    return figure
