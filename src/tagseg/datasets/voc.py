"""A Pascal VOC devkit tree: `JPEGImages/`, `ImageSets/Segmentation/`, `Annotations/`, and a folder of masks.

The larger training list, `train_aug`, is VOC's train and all of SBD, without VOC's val. Its masks are either PNG files
in a ready folder (`SegmentationClassAug/`), or VOC's own PNG files and, for all other images, SBD's .mat files.

Your own data may have the same format, as annotation tools write it: its classes are then given by a key, or by a file
that the tool wrote (`voc_classes.py`), and its masks may be painted in colours.
"""

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from tagseg.config.data import VocData
from tagseg.datasets import sbd
from tagseg.datasets.checks import Checks
from tagseg.datasets.folder_names import image_id
from tagseg.datasets.index import ImageRecord
from tagseg.datasets.truth_checks import TruthFile
from tagseg.datasets.voc_classes import LABELMAP, ClassNames, class_file, own_classes
from tagseg.datasets.voc_lists import DevkitImages, list_path, read_list
from tagseg.datasets.voc_masks import mask_path, painted, read_listed, read_mask
from tagseg.datasets.voc_tags import annotation_path, check_annotated_classes, tag_reader
from tagseg.errors import TagsegError

log = logging.getLogger(__name__)

# fmt: off
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car",
    "cat", "chair", "cow", "diningtable", "dog", "horse", "motorbike",
    "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on
DERIVED = "train_aug"


def index(data: VocData, checks: Checks | None = None) -> tuple[list[str], list[ImageRecord]]:
    """The classes and the records of all lists, training images first.

    Tags are read here, once, from the source that `data.tags` names; test images have none. Raises TagsegError naming
    what is missing, or if no classes are given although the annotations have others than VOC's; faults of single
    images go to `checks`.
    """
    checks = checks or Checks()
    images = DevkitImages(data.root)
    if not images.folder.is_dir():
        raise TagsegError(f"{data.root}: no JPEGImages in it; set data.root to the devkit's VOC2012 folder")
    classes = classes_of(data)
    listed: dict[str, tuple[str, str]] = {}  # split and name by id
    for split, names in _splits(data, images).items():
        for name in names:
            new = image_id(name)
            if checks.leaves_out(new, name):
                continue
            with checks.of(new):
                if new in listed:
                    first, second = (getattr(data, key) for key in (listed[new][0], split))
                    where = f"{first} and {second}" if first != second else f"{first} twice"
                    raise TagsegError(f"{data.root}: {name} is in {where}; list it once")
                listed[new] = split, name
    tagged = [name for split, name in listed.values() if split != "test"]
    if not tagged and not checks.left_out:
        raise TagsegError(f"{_list_path(data, data.train)}: no image in it; write a name a line")
    check_annotated_classes(data, classes, [name for name in tagged if images.knows(name)])
    _check_masks_folder(data)
    tags_of = tag_reader(data, classes)
    paths = {}
    for new, (_, name) in listed.items():
        with checks.of(new):
            paths[new] = images.path(name)
    records = []
    for new, (width, height) in checks.sizes(paths).items():
        split, name = listed[new]
        with checks.of(new):
            tags = () if split == "test" else tags_of(name)
            records.append(ImageRecord(new, split, paths[new], width, height, tags))
    return list(classes.names), records


def truth(data: VocData, records: list[ImageRecord]) -> dict[str, Path]:
    """PNG masks by id of all but test images; `render` draws those that are not label maps yet.

    Training images may have none if tags are not read from masks, and so may any image of your own data.
    """
    if not data.masks:
        return {}
    paths = {record.id: mask_path(data, _name(data, record)) for record in records if record.split != "test"}
    wanted = {record.id for record in records if data.sbd or _expected(data, record)}
    return {new: path for new, path in paths.items() if new in wanted}


def truth_files(data: VocData, records: list[ImageRecord], classes: list[str]) -> list[TruthFile]:
    """The masks of all but test images, PNG or SBD's, each with its reader.

    Raises TagsegError if no image has a mask.
    """
    if not (data.masks or data.sbd) or not data.val:
        return []
    own, files = classes_of(data), []
    for record in records:
        if record.split != "test" and (data.sbd or _expected(data, record)):
            name = _name(data, record)
            png = mask_path(data, name)
            path = sbd.mask_path(Path(data.sbd), name) if data.sbd and not png.is_file() else png
            files.append(TruthFile(record, path, partial(read_listed, data, own, name, record.split)))
    if files and not any(file.path.is_file() for file in files):
        first = files[0].path
        raise TagsegError(
            f"{first.parent}: no mask of the {len(files)} images of {data.val} in it, such as {first.name}; set "
            "data.masks to the folder that has them, or to '' if there are none"
        )
    return files


def _expected(data: VocData, record: ImageRecord) -> bool:
    """Whether a mask is required or exists. VOC's own images need one for evaluation, or if tags are read from it."""
    must = record.split == "val" or data.tags == "masks"
    return (must and not has_own_classes(data)) or mask_path(data, _name(data, record)).is_file()


def render(data: VocData, records: list[ImageRecord]) -> Iterator[tuple[str, np.ndarray]]:
    """Ids and truth masks (H, W) uint8 of the images whose mask is SBD's, or painted in colours.

    Raises TagsegError for an image of VOC's without any mask.
    """
    classes = classes_of(data)
    own = has_own_classes(data)
    for record in records:
        if record.split == "test":
            continue
        name = _name(data, record)
        path = mask_path(data, name)
        if path.is_file():
            found = painted(path, classes)
            if found is not None:
                yield record.id, found
        elif data.sbd or not own:
            yield record.id, read_mask(data, classes, name)


def rendered(data: VocData) -> bool:
    """Whether masks may be .mat files, or painted in the colours of a list."""
    found = class_file(data.root)
    return bool(data.sbd) or (found is not None and found.name == LABELMAP)


def sources(data: VocData) -> list[Path]:
    """The lists of images and classes, and the table of tags, whose changes require a new index."""
    paths = [_list_path(data, name) for name in (data.train, data.val, data.test) if name]
    if data.train == DERIVED and not paths[0].is_file():
        paths.append(_list_path(data, "train"))
        if data.sbd:
            paths += [Path(data.sbd) / name for name in sbd.LISTS]
    found = class_file(data.root)
    return [*paths, *([found] if found else []), *([Path(data.tags_table)] if data.tags_table else [])]


def photographs(data: VocData) -> list[Path]:
    """The listed photographs, and the files that tags are read from; none if a list is missing."""
    images = DevkitImages(data.root)
    try:
        splits = _splits(data, images)
        files = [images.path(name) for names in splits.values() for name in names]
    except TagsegError:
        return []
    names = [*splits["train"], *splits["val"]]
    if data.tags == "annotations":
        files += [annotation_path(data, name) for name in names]
    return files + (_mask_files(data, names) if data.tags == "masks" else [])


def masks(data: VocData) -> list[Path]:
    """The masks of the listed images."""
    try:
        splits = _splits(data, DevkitImages(data.root))
    except TagsegError:
        return []
    return _mask_files(data, [*splits["train"], *splits["val"]])


def _mask_files(data: VocData, names: list[str]) -> list[Path]:
    """PNG masks and, with SBD, its .mat masks, whether they exist or not."""
    files = [mask_path(data, name) for name in names]
    return files + ([sbd.mask_path(Path(data.sbd), name) for name in names] if data.sbd else [])


def has_truth(data: VocData) -> bool:
    """Whether there are images to evaluate on. A devkit has masks; your own data may only have boxes."""
    there = bool(data.masks) and ((data.root / data.masks).is_dir() or not data.root.is_dir())
    return bool(data.val) and (there or bool(data.sbd))


def train_truth(data: VocData) -> bool:
    """Whether any training image has a mask; assumed if the lists do not exist yet."""
    if data.tags == "masks" or data.sbd:
        return True
    try:
        names = _training_names(data, DevkitImages(data.root))
    except TagsegError:
        return True
    return any(mask_path(data, name).is_file() for name in names)


def has_test(data: VocData) -> bool:
    """Whether there is a list of the test server's images; they are in a separate archive."""
    return bool(data.test) and _list_path(data, data.test).is_file()


def has_own_classes(data: VocData) -> bool:
    """Whether a key or a file names the classes; otherwise they are VOC's."""
    return bool(data.classes) or class_file(data.root) is not None


def other_classes(data: VocData) -> str:
    """The key or file that names classes other than VOC's twenty; '' if none does, or if the file is invalid."""
    try:
        classes = classes_of(data)
    except TagsegError:
        return ""
    return "" if classes.names == CLASSES else classes.source


def classes_of(data: VocData) -> ClassNames:
    """The data set's classes: those that a key or a file names, or else VOC's, with source ''."""
    return own_classes(data.root, data.classes) or ClassNames(CLASSES, "")


def _check_masks_folder(data: VocData) -> None:
    """Raise TagsegError if tags come from masks and there is no folder of them; else warn if there is none."""
    folder = data.root / data.masks
    if folder.is_dir() or data.sbd:
        return
    there = [name for name in ("SegmentationClass", "SegmentationClassAug") if (data.root / name).is_dir()]
    hint = f" (there: {', '.join(there)})" if there else ""
    if data.tags == "masks":
        raise TagsegError(f"{folder}: no such folder; set data.masks to that of the masks{hint}, or data.tags")
    log.warning("%s: no such folder of masks%s: nothing can be evaluated", folder, hint)


def _splits(data: VocData, images: DevkitImages) -> dict[str, list[str]]:
    """Names of the images by split."""
    val = read_list(_list_path(data, data.val), images) if data.val else []
    test = read_list(_list_path(data, data.test), images) if has_test(data) else []
    return {"train": _training_names(data, images), "val": val, "test": test}


def _list_path(data: VocData, name: str) -> Path:
    return list_path(data.root, name)


def _training_names(data: VocData, images: DevkitImages) -> list[str]:
    """The training list. `train_aug`, if there is no such file, is VOC's train and SBD's images, without VOC's val.

    SBD's images are those of its lists, or else those that have a mask in a ready `SegmentationClassAug/`.
    """
    path = _list_path(data, data.train)
    if path.is_file() or data.train != DERIVED:
        return read_list(path, images)
    own = set(read_list(_list_path(data, "train"), images))
    if data.sbd:
        more = set(sbd.read_ids(Path(data.sbd)))
    else:
        more = {mask.stem for mask in (data.root / data.masks).glob("*.png")}
    # the devkit's val, too, whatever is evaluated on: none of its images may be trained on
    kept = {name for split in {"val", data.val} - {""} for name in read_list(_list_path(data, split), images)}
    names = sorted((own | more) - kept)
    if not set(names) - own:
        raise TagsegError(
            f"{path}: no such list, and nothing to derive it from; set data.sbd to SBD's folder, data.masks to a ready "
            "SegmentationClassAug, or data.train to train"
        )
    log.info("%s: no such list, derived: %d images", path, len(names))
    return names


def _name(data: VocData, record: ImageRecord) -> str:
    """An image's name in lists and masks: its photograph's path below `JPEGImages/`, without suffix."""
    folder = data.root / "JPEGImages"
    return record.path.relative_to(folder).with_suffix("").as_posix() if folder in record.path.parents else record.id
