"""Write summary.html: the headline of a run on one page, with its pictures and tables."""

import shlex
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field

from tagseg.artifacts.atomic import write_text
from tagseg.config.arguments import Named, Output
from tagseg.errors import TagsegError
from tagseg.figures.page import Picture, headline_page

_HEADLINE = {
    "method": "method",
    "crf": "CRF",
    "miou": "mIoU",
    "published_miou": "published",
    "difference": "difference",
    "classes": "classes",
    "pixel_accuracy": "pixel accuracy",
    "source": "source",
    "recipe": "recipe",
}
_CAPTIONS = {
    "miou": ("mIoU", "Each headline experiment on the evaluation images: the network alone, and with its CRF."),
    "panels": (
        "From photograph to prediction",
        "Image, foreground prior, class activation maps of its tags, mask from both with known tags, predictions of "
        "networks that saw no tags, truth.",
    ),
    "per_class": ("IoU by class", "Bars: measured here, with CRF. Marks, if any: published."),
    "trimap": ("Near boundaries", "Accuracy within bands around the truth's boundaries, against their width."),
    "best": ("Best images", "Those with the highest IoU; beside each, the IoU of the experiments in percent."),
    "worst": ("Worst images", "Those with the lowest IoU: where it fails."),
}


def run(
    miou: Annotated[Path, Field(description="miou.csv")],
    tables: Annotated[list[Path], Named("table"), Field(default_factory=list, description="Further table; repeatable")],
    pictures: Annotated[
        list[Path], Named("picture"), Field(default_factory=list, description="PNG to show; repeatable")
    ],
    output: Output,
    *,
    title: Annotated[str, Field(description="Over the page")] = "tagseg",
) -> None:
    """Write one HTML page with the headline table, pictures and further tables, all in one file.

    Raises TagsegError if a file is missing, if the table is not a `miou.csv`, or if a picture is not a PNG.
    """
    frame = _table(miou)
    if not {"method", "crf", "source", "miou", "pixel_accuracy"} <= set(frame):
        raise TagsegError(f"{miou}: not a miou.csv; make it first (tagseg tabulate --table miou)")
    ours = (frame["source"] == "measured") | frame["method"].astype(str).str.startswith("Ours")
    headline = frame[ours][[column for column in _HEADLINE if column in frame]].rename(columns=_HEADLINE)
    lead = [
        "mIoU in percent on images that no network was trained on. Networks were trained on image tags alone.",
        "The mean is over the classes that occur in truth or prediction; their number stands beside it.",
    ]
    if (frame["source"] == "published").any():
        lead.append("Published rows, in italics, are the paper's, on the full data set.")
    all_tables = {path.name: _table(path) for path in [miou, *tables]}
    text = headline_page(title, lead, headline, all_tables, [_picture(path) for path in pictures])
    write_text(output, text)


def _table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise TagsegError(f"{path}: no such file; make it first (snakemake {shlex.quote(str(path))})")
    try:
        frame = pd.read_csv(path)
    except ValueError as error:
        raise TagsegError(
            f"{path}: not a table ({error}); make it again (snakemake {shlex.quote(str(path))})"
        ) from None
    # whole numbers, of which published rows have none
    return frame.astype({"classes": "Int64"}) if "classes" in frame else frame


def _picture(path: Path) -> Picture:
    if not path.is_file():
        raise TagsegError(f"{path}: no such file; make it first (snakemake {shlex.quote(str(path))})")
    data = path.read_bytes()
    if not data.startswith(b"\x89PNG"):
        raise TagsegError(f"{path}: not a PNG; give the PNG of the picture")
    name, caption = _CAPTIONS.get(path.stem, (path.stem.replace("_", " "), ""))
    return Picture(data, name, caption)
