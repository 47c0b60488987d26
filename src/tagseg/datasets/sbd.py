"""SBD, the Semantic Boundaries Dataset: masks of VOC's photographs as `cls/ID.mat`, and lists of image ids."""

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from tagseg.datasets.index import read_utf8
from tagseg.errors import TagsegError, read_error

LISTS = ("train.txt", "val.txt")


def lists(folder: Path) -> list[Path]:
    """The files that list its images. Raises TagsegError if `folder` is not SBD's."""
    paths = [folder / name for name in LISTS]
    missing = [path for path in (*paths, folder / "cls") if not path.exists()]
    if missing:
        raise TagsegError(f"{missing[0]}: not there; set data.sbd to SBD's folder benchmark_RELEASE/dataset")
    return paths


def read_ids(folder: Path) -> list[str]:
    """The ids of all its images, those of the train list first."""
    return [image_id for path in lists(folder) for image_id in read_utf8(path).split()]


def mask_path(folder: Path, image_id: str) -> Path:
    """The mask file of an image."""
    return folder / "cls" / f"{image_id}.mat"


def read_mask(path: Path) -> np.ndarray:
    """Label map (H, W) uint8: `GTcls.Segmentation` of a .mat file.

    Raises TagsegError naming the file if it is missing, broken, or holds something else.
    """
    try:
        content = loadmat(str(path), simplify_cells=True)  # for a missing Path its error is another
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such mask; put it there or take the image out of the list") from None
    except Exception as error:  # a broken file may be read as any nonsense: zlib, index, value, type and other errors
        raise read_error(error, path) or TagsegError(
            f"{path}: not a readable .mat file ({error}); replace it"
        ) from None
    try:
        labels = np.asarray(content["GTcls"]["Segmentation"])
    except (KeyError, IndexError, TypeError):
        raise TagsegError(f"{path}: no GTcls with Segmentation in it; use a file of SBD's folder cls") from None
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise TagsegError(f"{path}: a mask is a map of bytes, this is {labels.dtype} {labels.shape}; replace it")
    return labels
