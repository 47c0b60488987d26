"""A Pascal VOC devkit tree: `JPEGImages/`, `ImageSets/Segmentation/`, `Annotations/`, and a folder of masks.

The larger training list, `train_aug`, is VOC's train and all of SBD, without VOC's val. Its masks are either PNG files
of a ready folder (`SegmentationClassAug/`), or VOC's own PNG files and, for all other images, SBD's .mat files.
"""

import logging
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tagseg.config import VocData
from tagseg.datasets import sbd
from tagseg.datasets.images import image_size, read_labels
from tagseg.datasets.index import ImageRecord, read_utf8
from tagseg.datasets.tag_tables import read_tags
from tagseg.errors import TagsegError
from tagseg.labels import IGNORE

log = logging.getLogger(__name__)

# fmt: off
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car",
    "cat", "chair", "cow", "diningtable", "dog", "horse", "motorbike",
    "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on
DERIVED = "train_aug"


def index(data: VocData) -> tuple[list[str], list[ImageRecord]]:
    """The twenty classes and the records of all lists, training images first.

    Tags are read once, here, from the place that `data.tags` names; test images have none. Raises TagsegError naming
    what is missing.
    """
    if not (data.root / "JPEGImages").is_dir():
        raise TagsegError(f"{data.root}: no JPEGImages in it; set data.root to the devkit's VOC2012 folder")
    splits = {"train": _training_ids(data), "val": _list(_list_path(data, data.val)), "test": _test_ids(data)}
    read_tags = _reader(data)
    records: dict[str, ImageRecord] = {}
    for split, ids in splits.items():
        for image_id in ids:
            if image_id in records:
                first, second = (getattr(data, name) for name in (records[image_id].split, split))
                where = f"{first} and {second}" if first != second else f"{first} twice"
                raise TagsegError(f"{data.root}: {image_id} is in {where}; list it once")
            photograph = data.root / "JPEGImages" / f"{image_id}.jpg"
            width, height = image_size(photograph)
            tags = () if split == "test" else read_tags(image_id)
            records[image_id] = ImageRecord(image_id, split, photograph, width, height, tags)
    return list(CLASSES), list(records.values())


def truth(data: VocData, records: list[ImageRecord]) -> dict[str, Path]:
    """PNG masks by id, of all but test images; with SBD, `render` draws those that are not there."""
    return {record.id: _png(data, record.id) for record in records if record.split != "test"}


def render(data: VocData, records: list[ImageRecord]) -> Iterator[tuple[str, np.ndarray]]:
    """Ids and truth masks (H, W) uint8 of the images whose mask is SBD's. Raises TagsegError for one without any."""
    for record in records:
        if record.split != "test" and not _png(data, record.id).is_file():
            yield record.id, _checked(*_read_mask(data, record.id))


def rendered(data: VocData) -> bool:
    """Whether some masks are .mat files."""
    return bool(data.sbd)


def sources(data: VocData) -> list[Path]:
    """The lists, and the table of tags: a new index is made when one changes."""
    paths = [_list_path(data, name) for name in (data.train, data.val, data.test) if name]
    if data.train == DERIVED and not paths[0].is_file():
        paths.append(_list_path(data, "train"))
        if data.sbd:
            paths += [Path(data.sbd) / name for name in sbd.LISTS]
    return [*paths, *([Path(data.tags_table)] if data.tags_table else [])]


def has_truth(data: VocData) -> bool:
    """A devkit always has masks."""
    return True


def has_test(data: VocData) -> bool:
    """Whether there is a list of the test server's images: an archive of its own, which few have unpacked."""
    return bool(data.test) and _list_path(data, data.test).is_file()


def _list_path(data: VocData, name: str) -> Path:
    return data.root / "ImageSets" / "Segmentation" / f"{name}.txt"


def _list(path: Path) -> list[str]:
    if not path.is_file():
        raise TagsegError(f"{path}: no such list; set data.train and data.val to lists under ImageSets/Segmentation")
    return read_utf8(path).split()


def _test_ids(data: VocData) -> list[str]:
    return _list(_list_path(data, data.test)) if has_test(data) else []


def _training_ids(data: VocData) -> list[str]:
    """The training list; `train_aug`, where there is no such file, is derived: VOC's train and SBD, without VOC's val.

    SBD's images are those of its lists, or else those that have a mask in a ready `SegmentationClassAug/`.
    """
    path = _list_path(data, data.train)
    if path.is_file() or data.train != DERIVED:
        return _list(path)
    own = set(_list(_list_path(data, "train")))
    if data.sbd:
        more = set(sbd.read_ids(Path(data.sbd)))
    else:
        more = {mask.stem for mask in (data.root / data.masks).glob("*.png")}
    # that of the devkit, whatever is evaluated: none of its images is for training
    kept = set(_list(_list_path(data, "val"))) | set(_list(_list_path(data, data.val)))
    ids = sorted((own | more) - kept)
    if not set(ids) - own:
        raise TagsegError(
            f"{path}: no such list, and nothing to derive it from; set data.sbd to SBD's folder, data.masks to a ready "
            "SegmentationClassAug, or data.train to train"
        )
    log.info("%s: no such list, derived: %d images", path, len(ids))
    return ids


def _reader(data: VocData) -> Callable[[str], tuple[str, ...]]:
    """The function that gives the tags of an image."""
    if data.tags == "table":
        return _table_reader(Path(data.tags_table))
    return lambda image_id: _of_annotation(data, image_id) if data.tags == "annotations" else _of_mask(data, image_id)


def _png(data: VocData, image_id: str) -> Path:
    return data.root / data.masks / f"{image_id}.png"


def _read_mask(data: VocData, image_id: str) -> tuple[Path, np.ndarray]:
    """The file of a mask, and the mask (H, W) uint8."""
    path = _png(data, image_id)
    if data.sbd and not path.is_file():
        path = sbd.mask_path(Path(data.sbd), image_id)
        return path, sbd.read_mask(path)
    return path, read_labels(path)


def _checked(path: Path, mask: np.ndarray) -> np.ndarray:
    unknown = [label for label in np.unique(mask) if len(CLASSES) < label < IGNORE]
    if unknown:
        raise TagsegError(f"{path}: label {unknown[0]}, but there are {len(CLASSES)} classes; mend the mask")
    return mask


def _of_mask(data: VocData, image_id: str) -> tuple[str, ...]:
    mask = _checked(*_read_mask(data, image_id))
    return tuple(CLASSES[label - 1] for label in np.unique(mask) if label not in (0, IGNORE))


def _of_annotation(data: VocData, image_id: str) -> tuple[str, ...]:
    path = data.root / "Annotations" / f"{image_id}.xml"
    try:
        names = {node.text for node in ElementTree.parse(path).iterfind("object/name")}
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such annotation; set data.tags to masks, or add the file") from None
    except ElementTree.ParseError as error:
        raise TagsegError(f"{path}: not a readable annotation ({error}); replace the file") from None
    return tuple(name for name in CLASSES if name in names)


def _table_reader(path: Path) -> Callable[[str], tuple[str, ...]]:
    """Tags of a table. Raises TagsegError for an unknown class, a doubled image, or one not in it."""
    if not path.is_file():
        raise TagsegError(f"{path}: no such file; set data.tags_table to a CSV file of columns image,tags")
    table = read_tags(path)
    if table.faults:
        raise TagsegError(str(table.faults[0]))
    tags: dict[str, tuple[str, ...]] = {}
    for row in table.rows:
        image_id = row.image.removesuffix(".jpg")
        unknown = sorted(set(row.tags) - set(CLASSES))
        if unknown:
            raise TagsegError(f"{path}:{row.line}: tag {unknown[0]!r} is not among the classes: {', '.join(CLASSES)}")
        if image_id in tags:
            raise TagsegError(f"{path}:{row.line}: image {image_id!r} was named before; keep one line for each image")
        tags[image_id] = tuple(name for name in CLASSES if name in row.tags)

    def read(image_id: str) -> tuple[str, ...]:
        if image_id not in tags:
            raise TagsegError(f"{path}: no line for image {image_id!r}; add one, with empty tags if it shows nothing")
        return tags[image_id]

    return read
