"""Working copies: a project's photographs and masks as tagseg works on them, no longer than a side that one chooses."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from tagseg.artifacts.atomic import atomic, remove_leftovers
from tagseg.artifacts.file_types import file_type
from tagseg.artifacts.outputs import require_own
from tagseg.commands.project import path_in_config
from tagseg.datasets.index import ImageRecord
from tagseg.datasets.originals import write_originals
from tagseg.datasets.truth_checks import TruthFile
from tagseg.errors import TagsegError
from tagseg.images.files import LONGEST_JPEG, SMALLEST_SIDE, read_image, write_jpeg, write_labels
from tagseg.images.formats import COPIES, are_copies
from tagseg.images.marks import PHOTOGRAPH, SOURCES, TRUTH


def require_room(project: Path, records: Sequence[ImageRecord], masks: Mapping[str, TruthFile]) -> None:
    """Raise TagsegError if a file that tagseg did not write is in the way of working copies."""
    copies = project / COPIES
    if copies.exists() and not are_copies(copies):
        raise TagsegError(f"{copies}: is there already, and is where working copies go; give another folder")
    require_own((_image_path(project, record.id) for record in records), PHOTOGRAPH)
    require_own((_mask_path(project, image_id) for image_id in masks), TRUTH)


def write_working_copies(
    project: Path,
    records: Sequence[ImageRecord],
    masks: Mapping[str, TruthFile],
    longest_side: int,
    threads: int,
) -> list[ImageRecord]:
    """Copy all photographs, and the masks of some by id, at `longest_side` pixels or less; the copies' records.

    A copy stays longer than that where its shorter side would be too small for networks. `originals.csv` beside the
    copies names the photograph that each is of. Raises TagsegError for a photograph that is still too long for a JPEG.
    """
    # first: should copying be interrupted, this table shows what the folder is
    rows = ((r.id, path_in_config(project, r.path), r.width, r.height, r.path) for r in records)
    write_originals(project / COPIES, rows)
    copy = partial(_copy, project, masks, longest_side)
    with ThreadPoolExecutor(threads) as pool:
        copies = list(tqdm(pool.map(copy, records), total=len(records), unit="image", disable=None))
    remove_leftovers(record.path for record in copies)
    _remove_others(project, {record.id for record in records}, set(masks))
    return copies


def _copy(project: Path, masks: Mapping[str, TruthFile], longest_side: int, record: ImageRecord) -> ImageRecord:
    """Copy one photograph and its mask, if it has one; the record of the copy."""
    image = Image.fromarray(read_image(record.path))
    size = _reduced(image.size, longest_side)
    if max(size) > LONGEST_JPEG:
        raise TagsegError(f"{record.path}: {image.width} x {image.height} pixels are no photograph's; cut it up")
    path = _image_path(project, record.id)
    with atomic(path, tidy=False) as temporary:
        write_jpeg(temporary, image.resize(size, Image.Resampling.LANCZOS))
    if record.id in masks:
        mask = Image.fromarray(masks[record.id].read()).resize(size, Image.Resampling.NEAREST)
        with atomic(_mask_path(project, record.id), tidy=False) as temporary:
            write_labels(temporary, np.asarray(mask), TRUTH)
    return replace(record, path=path, width=size[0], height=size[1])


def _reduced(size: tuple[int, int], longest_side: int) -> tuple[int, int]:
    """Width and height of a copy: a panorama keeps its shape, and a shorter side that networks can take."""
    scale = min(1.0, max(longest_side / max(size), SMALLEST_SIDE / min(size)))
    return round(size[0] * scale), round(size[1] * scale)


def _remove_others(project: Path, images: set[str], masks: set[str]) -> None:
    """Remove copies that an earlier attempt made, perhaps of other photographs."""
    for path in (project / COPIES).glob("*/*"):
        if path.stem not in (masks if path.parent.name == "masks" else images) and file_type(path) in SOURCES:
            path.unlink()


def _image_path(project: Path, image_id: str) -> Path:
    return project / COPIES / "images" / f"{image_id}.jpg"


def _mask_path(project: Path, image_id: str) -> Path:
    return project / COPIES / "masks" / f"{image_id}.png"
