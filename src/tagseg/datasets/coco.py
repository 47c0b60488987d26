"""Microsoft COCO: folders of photographs, and `instances_*.json` files with the objects in them.

Tags are the categories of an image's annotations. Its truth has one label a pixel: where objects overlap, the
smallest wins; groups that are annotated as a crowd are ignored (255) wherever no single object lies on them.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from tagseg.config import CocoData
from tagseg.datasets.checks import Checks
from tagseg.datasets.index import BACKGROUND, ImageRecord
from tagseg.datasets.watching import files_below
from tagseg.errors import TagsegError
from tagseg.labels import IGNORE


@dataclass(frozen=True)
class _Instances:
    """What an annotation file holds: names by category id, images, and each image's annotations."""

    path: Path
    categories: dict[int, str]
    images: list[dict[str, Any]]
    annotations: dict[int, list[dict[str, Any]]]


def index(data: CocoData, checks: Checks | None = None) -> tuple[list[str], list[ImageRecord]]:
    """Classes by ascending category id, and records of both files, training images first.

    The official files' order is that of the paper's Table 8. An image's id is its file's name without suffix; images
    without annotations have no tags. Raises TagsegError naming the file and what is wrong with it; what is wrong with
    single photographs goes to `checks`.
    """
    checks = checks or Checks()
    records: dict[str, ImageRecord] = {}
    categories: dict[int, str] = {}
    for split, path, folder in _files(data):
        instances = _read(path)
        if categories and instances.categories != categories:
            raise TagsegError(f"{path}: its categories are not those of {data.train}; use files that belong together")
        categories = instances.categories
        order = list(categories)
        for image in instances.images:
            photograph = folder / image["file_name"]
            seen = {annotation["category_id"] for annotation in instances.annotations[image["id"]]}
            tags = tuple(categories[category] for category in sorted(seen, key=order.index))
            image_id = photograph.stem
            if checks.leaves_out(image_id):
                continue
            if image_id in records:
                with checks.of(image_id):
                    raise TagsegError(f"{path}: two photographs are called {image_id}; give each a name of its own")
                continue
            part = "val" if _held_out(image_id, data.val_share) else split
            records[image_id] = ImageRecord(image_id, part, photograph, image["width"], image["height"], tags)
    if not records:
        raise TagsegError(f"{data.root / data.train}: no images in it; set data.train to a file that lists some")
    sizes = checks.sizes({image_id: record.path for image_id, record in records.items()})
    for image_id, (width, height) in sizes.items():
        record = records[image_id]
        if (width, height) != (record.width, record.height):
            with checks.of(image_id):
                raise TagsegError(
                    f"{record.path}: {width} x {height} pixels, but {record.width} x {record.height} in "
                    "the annotations; use the photograph that was annotated"
                )
    whole = (record for image_id, record in records.items() if image_id in sizes)
    return list(categories.values()), sorted(whole, key=lambda record: record.split == "val")


def truth(data: CocoData, records: list[ImageRecord]) -> dict[str, Path]:
    """None: masks are drawn by `render`."""
    return {}


def render(data: CocoData, records: list[ImageRecord]) -> Iterator[tuple[str, np.ndarray]]:
    """Ids and truth masks (H, W) uint8 of the records. Raises TagsegError for an outline that cannot be drawn."""
    wanted = {record.id for record in records}
    for _, path, _ in _files(data):
        instances = _read(path)
        labels = {category: label for label, category in enumerate(instances.categories, start=1)}
        for image in instances.images:
            image_id = Path(image["file_name"]).stem
            if image_id in wanted:
                yield image_id, _draw(path, image, instances.annotations[image["id"]], labels)


def sources(data: CocoData) -> list[Path]:
    """The annotation files: a new index is made when one changes."""
    return [path for _, path, _ in _files(data)]


def photographs(data: CocoData) -> list[Path]:
    """The files in the folders of photographs: which are used, the annotations say, which are long to read."""
    return [path for _, _, folder in _files(data) for path in files_below(folder)]


def has_truth(data: CocoData) -> bool:
    """Whether there are images to evaluate on: all of them have truth."""
    return bool(data.val or data.val_share)


def _files(data: CocoData) -> list[tuple[str, Path, Path]]:
    """(split, annotation file, folder of photographs)."""
    files = [("train", data.root / data.train, data.root / data.train_images)]
    if data.val:
        files.append(("val", data.root / data.val, data.root / data.val_images))
    return files


def _held_out(image_id: str, share: float) -> bool:
    """Whether a training image is kept for evaluation: a draw that depends on its id alone, so it is stable."""
    digest = hashlib.sha256(image_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def _read(path: Path) -> _Instances:
    """An annotation file, checked as far as the rest relies on it. Categories stand by ascending id."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such file; set data.train and data.val to instances_*.json files") from None
    except (ValueError, OSError) as error:
        raise TagsegError(f"{path}: not a readable JSON file ({error}); replace it") from None
    try:
        pairs = sorted((int(category["id"]), str(category["name"])) for category in content["categories"])
        images = content["images"]
        known = {image["id"] for image in images if (image["file_name"], image["width"], image["height"])}
        annotations = defaultdict(list)
        for annotation in content["annotations"]:
            for key in ("id", "category_id", "segmentation"):
                if key not in annotation:
                    raise KeyError(key)
            annotations[annotation["image_id"]].append(annotation)
    except (KeyError, TypeError, ValueError) as error:
        raise TagsegError(
            f"{path}: not an instances_*.json file of COCO ({type(error).__name__}: {error}); "
            "it needs images, categories, and annotations with a segmentation"
        ) from None
    categories = dict(pairs)
    _check_names(path, pairs)
    for image_id, group in annotations.items():
        if image_id not in known:
            raise TagsegError(
                f"{path}: annotation {group[0]['id']} is of image {image_id}, which the file lacks; drop it"
            )
        strange = [annotation for annotation in group if annotation["category_id"] not in categories]
        if strange:
            raise TagsegError(
                f"{path}: annotation {strange[0]['id']} is of category {strange[0]['category_id']}, which the file "
                "lacks; add the category or drop the annotation"
            )
    return _Instances(path, categories, images, annotations)


def _check_names(path: Path, pairs: list[tuple[int, str]]) -> None:
    names = [name for _, name in pairs]
    for i, name in enumerate(names):
        if name == BACKGROUND:
            raise TagsegError(f"{path}: a category is called {BACKGROUND!r}, every image's own class; rename it")
        if name in names[:i] or pairs[i][0] in [number for number, _ in pairs[:i]]:
            raise TagsegError(f"{path}: category {name!r} or its id is there twice; keep one")
        if not name or ";" in name or "\n" in name:
            raise TagsegError(f"{path}: category {name!r}: a name has letters, and no ';' or line break; rename it")
    if len(names) >= IGNORE:
        raise TagsegError(f"{path}: {len(names)} categories; a mask has room for {IGNORE - 1}; drop some")


def _draw(path: Path, image: dict[str, Any], annotations: list[dict[str, Any]], labels: dict[int, int]) -> np.ndarray:
    """Truth mask (H, W) uint8: crowds as 255, then objects from the largest to the smallest.

    Size is the area of the mask itself. Of two objects of one size, that with the larger annotation id is on top.
    """
    height, width = image["height"], image["width"]
    drawn = []
    for annotation in annotations:
        outline = annotation["segmentation"]
        try:
            if isinstance(outline, list):  # polygons; the official files have a few of less than three points
                polygons = [[float(number) for number in polygon] for polygon in outline if len(polygon) >= 6]
                code = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width)) if polygons else None
            elif isinstance(outline["counts"], list):  # run lengths
                code = coco_mask.frPyObjects(outline, height, width)
            else:  # run lengths as compressed text
                code = outline
            if code is not None and list(code["size"]) != [height, width]:
                raise ValueError(f"size {code['size']}")
        except Exception as error:  # the library says what is wrong by exceptions of many kinds
            raise TagsegError(
                f"{path}: annotation {annotation['id']}: its segmentation cannot be drawn ({error}); mend or drop it"
            ) from None
        if code is not None:
            crowd = bool(annotation.get("iscrowd", 0))
            drawn.append((not crowd, -int(coco_mask.area(code)), annotation["id"], code, annotation["category_id"]))
    mask = np.zeros((height, width), dtype=np.uint8)
    for single, _, _, code, category in sorted(drawn, key=lambda entry: entry[:3]):
        mask[coco_mask.decode(code).astype(bool)] = labels[category] if single else IGNORE
    return mask
