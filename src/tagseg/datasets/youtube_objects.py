"""YouTube-Objects: video frames as CLASS/[data/]VIDEO/[shots/]SHOT/*.jpg, and masks of some shots in a similar tree.

A frame's only tag is the class of its folder. Training frames are spread evenly over a class's videos, without the
shots that have masks: these are for evaluation only.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from tagseg.config.data import YoutubeObjectsData
from tagseg.datasets.checks import Checks
from tagseg.datasets.digests import files_below
from tagseg.datasets.index import ImageRecord
from tagseg.datasets.truth_checks import TruthFile
from tagseg.errors import TagsegError, read_error
from tagseg.images.files import UNREADABLE
from tagseg.images.formats import is_photograph
from tagseg.images.palette import IGNORE

CLASSES = ("aeroplane", "bird", "boat", "car", "cat", "cow", "dog", "horse", "motorbike", "train")
_VIDEOS = (".avi", ".mp4", ".mov", ".mkv", ".webm", ".flv", ".3gp", ".mpg", ".mpeg", ".wmv")


@dataclass(frozen=True)
class _Labelled:
    """A labelled frame: its id, its shot (class, video, shot), its mask and its photograph."""

    id: str
    shot: tuple[str, str, str]
    mask: Path
    photograph: Path


def index(data: YoutubeObjectsData, checks: Checks | None = None) -> tuple[list[str], list[ImageRecord]]:
    """The ten classes and the records: `per_class` training frames of each (or all there are), then labelled frames.

    Raises TagsegError naming a folder that is missing or empty, or a video whose frames have yet to be extracted;
    faults of single frames go to `checks`.
    """
    checks = checks or Checks()
    labelled = _labelled(data)
    kept_out = {item.shot for item in labelled}
    found: list[tuple[str, str, str, Path]] = []
    for name in CLASSES:
        videos = {
            video.name: [
                (shot.name, frame)
                for shot in _folders(_inner(video, "shots"))
                if (name, video.name, shot.name) not in kept_out
                for frame in _pictures(shot)
            ]
            for video in _videos(data.root / name)
        }
        taken = _spread(data.per_class, {video: len(frames) for video, frames in videos.items()})
        if not any(taken.values()):
            raise TagsegError(f"{data.root / name}: no frame to train on; put them there as VIDEO/SHOT/NUMBER.jpg")
        for video, count in taken.items():
            frames = videos[video]
            for i in range(count):
                shot, frame = frames[(2 * i + 1) * len(frames) // (2 * count)]
                found.append((f"{name}_{video}_{shot}_{frame.stem}", "train", name, frame))
    found += [(item.id, "val", item.shot[0], item.photograph) for item in labelled]
    taken_in: dict[str, tuple[str, str, Path]] = {}
    for image_id, split, name, path in found:
        if checks.leaves_out(image_id):
            continue
        with checks.of(image_id):
            if image_id in taken_in:
                raise TagsegError(f"{path}: its id {image_id} is that of {taken_in[image_id][2]}, too; rename a folder")
            taken_in[image_id] = split, name, path
    sizes = checks.sizes({image_id: path for image_id, (_, _, path) in taken_in.items()})
    records = []
    for image_id, (width, height) in sizes.items():
        split, name, path = taken_in[image_id]
        records.append(ImageRecord(image_id, split, path, width, height, (name,)))
    return list(CLASSES), records


def truth(data: YoutubeObjectsData, records: list[ImageRecord]) -> dict[str, Path]:
    """No mask files: `render` draws the masks."""
    return {}


def truth_files(data: YoutubeObjectsData, records: list[ImageRecord], classes: list[str]) -> list[TruthFile]:
    """The masks of the labelled records, each with its reader at the photograph's size."""
    wanted = {record.id: record for record in records}
    return [
        TruthFile(wanted[item.id], item.mask, partial(_read_labelled, item, wanted[item.id]))
        for item in _labelled(data)
        if item.id in wanted
    ]


def render(data: YoutubeObjectsData, records: list[ImageRecord]) -> Iterator[tuple[str, np.ndarray]]:
    """Ids and truth masks (H, W) uint8, at the photographs' size, of the labelled records."""
    wanted = {record.id: record for record in records}
    for item in _labelled(data):
        if item.id in wanted:
            yield item.id, _read_labelled(item, wanted[item.id])


def sources(data: YoutubeObjectsData) -> list[Path]:
    """The class folders, which change when a video is added, and then require a new index."""
    roots = [data.root, *([Path(data.masks)] if data.masks else [])]
    return [_inner(root / name, "data") for root in roots for name in CLASSES]


def masks(data: YoutubeObjectsData) -> list[Path]:
    """The files in the folder of the labelled shots. The frames, some 700,000, are too many to check for changes."""
    return files_below(Path(data.masks)) if data.masks else []


def has_truth(data: YoutubeObjectsData) -> bool:
    """Whether there are labelled shots."""
    return bool(data.masks)


def _inner(folder: Path, name: str) -> Path:
    """The folder `name` in `folder`, which the published archives have, or `folder` itself if there is none."""
    return folder / name if (folder / name).is_dir() else folder


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if is_photograph(path.name))


def _videos(folder: Path) -> list[Path]:
    """The video folders of a class. Raises TagsegError if there are none, or a video is still one file."""
    if not folder.is_dir():
        raise TagsegError(f"{folder}: no such folder; data.root needs a folder for each of {', '.join(CLASSES)}")
    base = _inner(folder, "data")
    folders = _folders(base)
    for path in sorted(base.iterdir()):
        target = path.with_suffix("")
        if path.suffix.lower() in _VIDEOS and target not in folders:
            shot = target / "001"
            raise TagsegError(
                f"{path}: a video; extract its frames first: mkdir -p {shlex.quote(str(shot))} && "
                f"ffmpeg -i {shlex.quote(str(path))} -qscale:v 2 {shlex.quote(str(shot / '%05d.jpg'))}"
            )
    for video in folders:
        loose = _pictures(_inner(video, "shots"))
        if loose:
            raise TagsegError(
                f"{loose[0]}: a frame outside of a shot; put the frames of {video.name} into folders of shots"
            )
    return folders


def _labelled(data: YoutubeObjectsData) -> list[_Labelled]:
    """All masks: MASKS/CLASS/[data/]VIDEO/[shots/]SHOT/[labels/]NUMBER.jpg or .png.

    A mask's photograph has the same number, in `images/` beside `labels/`, or else in the shot below `data.root`.
    """
    if not data.masks:
        return []
    found = []
    for name in CLASSES:
        folder = Path(data.masks) / name
        if not folder.is_dir():
            raise TagsegError(f"{folder}: no such folder; data.masks needs a folder for each of {', '.join(CLASSES)}")
        for video in _folders(_inner(folder, "data")):
            for shot in _folders(_inner(video, "shots")):
                beside = _numbered(shot / "images")
                base = _inner(_inner(data.root / name, "data") / video.name, "shots") / shot.name
                frames = {**_numbered(base), **beside}
                for mask in _pictures(_inner(shot, "labels")):
                    number = _number(mask)
                    if number not in frames:
                        raise TagsegError(f"{mask}: no photograph of its number in {shot / 'images'} or {base}; add it")
                    image_id = f"{name}_{video.name}_{shot.name}_{number:05d}"
                    found.append(_Labelled(image_id, (name, video.name, shot.name), mask, frames[number]))
    if not found:
        raise TagsegError(
            f"{data.masks}: no mask in it; put them there as CLASS/VIDEO/SHOT/NUMBER.png, or set masks to ''"
        )
    return found


def _numbered(folder: Path) -> dict[int, Path]:
    return {_number(path): path for path in _pictures(folder)} if folder.is_dir() else {}


def _number(path: Path) -> int:
    """The number of a frame in its shot, from file names such as `00012.jpg` and `frame0012.jpg`."""
    digits = re.search(r"\d+$", path.stem)
    if digits is None:
        raise TagsegError(f"{path}: its name has no number; name frames and masks by their number, such as 00012")
    return int(digits[0])


def _spread(count: int, lengths: dict[str, int]) -> dict[str, int]:
    """How many frames to take of each video: as equal as their lengths allow, `count` in all if there are as many."""
    shares: dict[str, int] = {}
    for i, video in enumerate(sorted(lengths, key=lambda video: (lengths[video], video))):
        shares[video] = min(lengths[video], (count - sum(shares.values())) // (len(lengths) - i))
    return {video: shares[video] for video in lengths}


def _read_labelled(item: _Labelled, record: ImageRecord) -> np.ndarray:
    return _read_mask(item.mask, CLASSES.index(item.shot[0]) + 1, (record.width, record.height))


def _read_mask(path: Path, label: int, size: tuple[int, int]) -> np.ndarray:
    """Truth (H, W) uint8 at `size` (width, height): `label` on the object, 0 elsewhere.

    The object is where an indexed PNG is not 0 (255 is ignored), where a grey PNG is not 0, and where a JPEG or a
    colour image is lighter than half. Raises TagsegError naming a file that is broken, or has another aspect ratio than
    its photograph.
    """
    try:
        with Image.open(path) as image:
            if image.format == "PNG" and image.mode in ("P", "L", "1"):
                values = np.asarray(image).astype(np.uint8)
                mask = np.where(values > 0, label, 0)
                if image.mode == "P":
                    mask[values == IGNORE] = IGNORE
            else:
                mask = np.where(np.asarray(image.convert("L")) > 127, label, 0)
    except UNREADABLE as error:
        raise read_error(error, path) or TagsegError(f"{path}: not a readable mask ({error}); replace it") from None
    height, width = mask.shape
    if (width, height) == size:
        return mask.astype(np.uint8)
    # some versions of the frames have another resolution than the published masks
    if abs(width * size[1] - height * size[0]) > max(size) * max(width, height) // 50:
        raise TagsegError(f"{path}: {width} x {height} pixels, the photograph {size[0]} x {size[1]}; use its own mask")
    return np.asarray(Image.fromarray(mask.astype(np.uint8)).resize(size, Image.Resampling.NEAREST))
