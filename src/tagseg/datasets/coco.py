"""Microsoft COCO: folders of photographs, and `instances_*.json` files with the objects in them.

Tags are the categories of an image's annotations. The truth has one label per pixel: where objects overlap, the
smallest wins; crowds are ignored (255), except where a single object covers them.
"""

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from tagseg.config.data import CocoData
from tagseg.datasets.checks import Checks
from tagseg.datasets.coco_file import CocoFile, CocoImage, Id, read_coco, shown
from tagseg.datasets.coco_images import CocoPhotographs
from tagseg.datasets.coco_truth import draw
from tagseg.datasets.digests import files_below
from tagseg.datasets.folder_names import image_id
from tagseg.datasets.index import ImageRecord
from tagseg.errors import TagsegError

log = logging.getLogger(__name__)


def index(data: CocoData, checks: Checks | None = None) -> tuple[list[str], list[ImageRecord]]:
    """Classes by ascending category id, and the records of both files, training images first.

    In the official files this is the order of the paper's Table 8. An image's id is its file's path without suffix;
    images without annotations have no tags. Raises TagsegError naming an annotation file that cannot be used; faults of
    single photographs go to `checks`.
    """
    checks = checks or Checks()
    records: dict[str, ImageRecord] = {}
    annotated: dict[str, CocoImage] = {}
    categories: dict[Id, str] = {}
    for split, path, folder in _files(data):
        content = read_coco(path)
        if categories and content.categories != categories:
            raise TagsegError(f"{path}: its categories are not those of {data.train}; use files that belong together")
        categories = content.categories
        _warn_of_missing_outlines(content)
        photographs = CocoPhotographs(folder)
        for image in content.images:
            named = image_id(image.name)  # its id in reports until its photograph is found
            if checks.leaves_out(named, image.name):
                continue
            with checks.of(named):
                new, photograph = _find(path, photographs, image)
                if checks.leaves_out(new):
                    continue
                if new in records:
                    raise TagsegError(f"{path}: two photographs are called {new}; give each a name of its own")
                if photograph is None:
                    raise TagsegError(_missing(path, folder, image))
                seen = {found.category for found in content.objects.get(image.id, [])}
                tags = tuple(name for category, name in categories.items() if category in seen)
                part = "val" if _held_out(new, data.val_share) else split
                records[new] = ImageRecord(new, part, photograph, 0, 0, tags)
                annotated[new] = image
    if not records and not checks.faults and not checks.left_out:
        raise TagsegError(f"{data.root / data.train}: no images in it; set data.train to a file that lists some")
    sizes = checks.sizes({new: record.path for new, record in records.items()})
    whole = []
    for new, (width, height) in sizes.items():
        with checks.of(new):
            _check_size(records[new].path, width, height, annotated[new])
            whole.append(replace(records[new], width=width, height=height))
    return list(categories.values()), sorted(whole, key=lambda record: record.split == "val")


def truth(data: CocoData, records: list[ImageRecord]) -> dict[str, Path]:
    """No mask files: `render` draws the masks."""
    return {}


def render(data: CocoData, records: list[ImageRecord]) -> Iterator[tuple[str, np.ndarray]]:
    """Ids and truth masks (H, W) uint8 of the records, except images with an object that has no outline.

    Raises TagsegError for an outline that cannot be drawn.
    """
    wanted = {record.id: record for record in records}
    for _, path, folder in _files(data):
        content = read_coco(path)
        labels = {category: label for label, category in enumerate(content.categories, start=1)}
        photographs = CocoPhotographs(folder)
        for image in content.images:
            record = wanted.get(_find(path, photographs, image)[0])
            if record is None:
                continue
            mask = draw(path, (record.height, record.width), content.objects.get(image.id, []), labels)
            if mask is not None:
                yield record.id, mask


def sources(data: CocoData) -> list[Path]:
    """The annotation files, whose changes require a new index."""
    return [path for _, path, _ in _files(data)]


def photographs(data: CocoData) -> list[Path]:
    """All files in the folders of photographs: to find those in use, the annotations would be read, which is slow."""
    return [path for _, _, folder in _files(data) for path in files_below(folder)]


def has_truth(data: CocoData) -> bool:
    """Whether there are evaluation images, all of which have truth."""
    return bool(data.val or data.val_share)


def _files(data: CocoData) -> list[tuple[str, Path, Path]]:
    """Split, annotation file and folder of photographs of each part."""
    files = [("train", data.root / data.train, data.root / data.train_images)]
    if data.val:
        files.append(("val", data.root / data.val, data.root / data.val_images))
    return files


def _held_out(image_id: str, share: float) -> bool:
    """Whether a training image is held out for evaluation; it depends on the id alone, so it is stable."""
    digest = hashlib.sha256(image_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def _warn_of_missing_outlines(content: CocoFile) -> None:
    objects = [found for group in content.objects.values() for found in group]
    without = sum(found.outline is None for found in objects)
    if without:
        log.warning(
            "%s: %d of %d annotations have no segmentation: they give tags, but their images have no truth",
            content.path, without, len(objects),
        )  # fmt: skip


def _find(path: Path, photographs: CocoPhotographs, image: CocoImage) -> tuple[str, Path | None]:
    """An image's id, and its photograph, or None if it is missing."""
    try:
        return photographs.find(image.name)
    except TagsegError as error:
        raise TagsegError(f"{path}: image {shown(image.id)} is {shown(image.name)}: {error}") from None


def _missing(path: Path, folder: Path, image: CocoImage) -> str:
    which = f"{path}: image {shown(image.id)} is {shown(image.name)}"
    if os.path.isfile(folder / image.name):  # noqa: PTH113 (a name may be too long or odd for a path)
        return f"{which}, in a format that is not read; convert it to .jpg or .png"
    return (
        f"{which}, and there is no such photograph under {folder}; add it, drop the image, or set data.train_images "
        "and data.val_images"
    )


def _check_size(photograph: Path, width: int, height: int, image: CocoImage) -> None:
    """Raise TagsegError if the annotation file states another size; it may state none."""
    if (image.width or width, image.height or height) != (width, height):
        raise TagsegError(
            f"{photograph}: {width} x {height} pixels, but {image.width or width} x {image.height or height} in "
            "the annotations; use the photograph that was annotated"
        )
