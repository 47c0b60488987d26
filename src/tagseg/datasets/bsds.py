"""The Berkeley segmentation data set (BSDS500): photographs, and beside each a .mat file of people's segmentations."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from tagseg.datasets.images import photographs, read_grey
from tagseg.errors import TagsegError


@dataclass(frozen=True)
class Example:
    """A photograph and the file of its annotations."""

    id: str
    photograph: Path
    truth: Path


@dataclass(frozen=True)
class Annotations:
    """What several people drew on one photograph: label maps and boundary maps, each (H, W)."""

    segmentations: list[NDArray[np.int64]]
    boundaries: list[NDArray[np.bool_]]


def index(images: Path, ground_truth: Path) -> list[Example]:
    """The photographs of a folder, each with `ID.mat` of another, by name.

    The folders hold the files themselves, or have them in `images/` and `groundTruth/`. Raises TagsegError naming the
    folder without photographs, or the first .mat file that is missing.
    """
    folder = images / "images" if (images / "images").is_dir() else images
    paths = photographs(folder)
    if not paths:
        raise TagsegError(f"{folder}: no photograph in it; give the folder that holds them, such as images/test")
    truths = ground_truth / "groundTruth" if (ground_truth / "groundTruth").is_dir() else ground_truth
    if not truths.is_dir():
        raise TagsegError(f"{truths}: no such folder; give the one with a .mat file for each photograph")
    examples = [Example(path.stem, path, truths / f"{path.stem}.mat") for path in paths]
    missing = [example for example in examples if not example.truth.is_file()]
    if missing:
        raise TagsegError(
            f"{missing[0].truth}: no such ground truth for {missing[0].photograph}; put it there, or take the image out"
            + (f" ({len(missing)} of {len(examples)} images lack it)" if len(missing) > 1 else "")
        )
    return examples


def read_annotations(path: Path, shape: tuple[int, int]) -> Annotations:
    """Annotations of a photograph of (H, W) = `shape`: cells `groundTruth{k}` with `Segmentation` and `Boundaries`.

    Raises TagsegError naming the file if it is missing, broken, without annotations, or of another size.
    """
    try:
        content = loadmat(path, simplify_cells=True)
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such ground truth; put it there, or take the image out") from None
    except Exception as error:  # a broken file may be read as any nonsense: zlib, index, value, type and other errors
        raise TagsegError(f"{path}: not a readable .mat file ({error}); replace it") from None
    try:
        cells = content["groundTruth"]
        cells = [cells] if isinstance(cells, dict) else list(cells)
        segmentations = [np.asarray(cell["Segmentation"], dtype=np.int64) for cell in cells]
        boundaries = [np.asarray(cell["Boundaries"]) > 0 for cell in cells]
    except (KeyError, IndexError, TypeError, ValueError):
        raise TagsegError(
            f"{path}: no groundTruth with Segmentation and Boundaries in it; use a file in BSDS500's layout"
        ) from None
    if not cells:
        raise TagsegError(f"{path}: no annotation in it; replace it, or take the image out")
    for array in (*segmentations, *boundaries):
        if array.shape != shape:
            raise TagsegError(
                f"{path}: an annotation is {array.shape}, the photograph {shape}; use the image's own file"
            )
    return Annotations(segmentations, boundaries)


def read_contours(path: Path, shape: tuple[int, int]) -> NDArray[np.float64]:
    """A contour map (H, W) in [0, 1] from a grey PNG of 8 or 16 bits, for a photograph of (H, W) = `shape`.

    Raises TagsegError naming the file if it is missing, no such PNG, or of another size.
    """
    contours = read_grey(path)
    if contours.shape != shape:
        raise TagsegError(f"{path}: the contour map is {contours.shape}, the photograph {shape}; make it at full size")
    return contours
