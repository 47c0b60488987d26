"""The files of the Berkeley segmentation data set (BSDS500): images, and a .mat file of annotations for each."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import loadmat

from tagseg.errors import TagsegError, first_of, read_error
from tagseg.images.files import UNREADABLE, is_made
from tagseg.images.formats import is_photograph, is_unread, unread_line

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """An image and the file of its annotations."""

    id: str
    photograph: Path
    truth: Path


@dataclass(frozen=True)
class Annotations:
    """All annotators' label maps and boundary maps of one image, each (H, W)."""

    segmentations: list[NDArray[np.int64]]
    boundaries: list[NDArray[np.bool_]]


def index(images: Path, ground_truth: Path) -> list[Example]:
    """The images of a folder, sorted by name, each with its `ID.mat` in another folder.

    Either folder may hold the files directly, or in a subfolder `images/` or `groundTruth/`. Raises TagsegError naming
    the folder without images, or the first .mat file that is missing.
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
            f"{missing[0].truth}: no such ground truth for {missing[0].photograph}; put it there, or remove the image"
            + (f" ({len(missing)} of {len(examples)} images lack it)" if len(missing) > 1 else "")
        )
    return examples


def photographs(folder: Path) -> list[Path]:
    """The photographs in a folder, sorted by name, without hidden files and pictures that tagseg made.

    The log names files that may be photographs but are not read. Raises TagsegError if the folder is missing, or two
    photographs differ only in their suffix.
    """
    if not folder.is_dir():
        raise TagsegError(f"{folder}: no such folder; put the photographs there")
    files = sorted(folder.iterdir())
    paths = [path for path in files if is_photograph(path.name)]
    made = [path for path in paths if is_made(path)]
    if made:
        names = first_of([path.name for path in made])
        log.warning("%s: %d pictures that tagseg made are passed over: %s", folder, len(made), names)
    paths = [path for path in paths if path not in set(made)]
    unread = [path.name for path in files if is_unread(path.name) and path.is_file()]
    if unread:
        log.warning("%s: %s", folder, unread_line(unread))
    stems: dict[str, Path] = {}
    for path in paths:
        if path.stem in stems:
            raise TagsegError(f"{path}: its name without suffix equals that of {stems[path.stem].name}; rename one")
        stems[path.stem] = path
    return paths


def read_annotations(path: Path, shape: tuple[int, int]) -> Annotations:
    """Annotations of an image of `shape` (H, W): cells `groundTruth{k}` with `Segmentation` and `Boundaries`.

    Raises TagsegError naming the file if it is missing, broken, without annotations, or of another size.
    """
    try:
        content = loadmat(path, simplify_cells=True)
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such ground truth; put it there, or remove the image") from None
    except Exception as error:  # scipy raises many types for a broken file: zlib.error, IndexError, ValueError, ...
        raise read_error(error, path) or TagsegError(
            f"{path}: not a readable .mat file ({error}); replace it"
        ) from None
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
        raise TagsegError(f"{path}: no annotation in it; replace it, or remove the image")
    for array in (*segmentations, *boundaries):
        if array.shape != shape:
            raise TagsegError(
                f"{path}: an annotation is {array.shape}, the photograph {shape}; use the image's own file"
            )
    return Annotations(segmentations, boundaries)


def read_contours(path: Path, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Contour map (H, W) in [0, 1] of a grey PNG of 8 or 16 bits, for an image of `shape` (H, W).

    Raises TagsegError naming the file if it is missing, no such PNG, or of another size.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ("L", "I;16", "I;16B", "I"):
                raise TagsegError(f"{path}: mode {image.mode}; a map must be a grey PNG of 8 or 16 bits")
            contours = np.asarray(image, dtype=np.float64) / (255 if image.mode == "L" else 65535)
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such map; put it there, one ID.png for each image") from None
    except UNREADABLE as error:
        raise TagsegError(f"{path}: not a readable map ({error}); replace it") from None
    if contours.shape != shape:
        raise TagsegError(f"{path}: the contour map is {contours.shape}, the photograph {shape}; make it at full size")
    return contours
