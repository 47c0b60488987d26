"""Write and check the archive that VOC's evaluation server accepts: a `.tar.gz` of indexed PNG masks."""

import gzip
import io
import posixpath
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from tagseg.artifacts.atomic import atomic
from tagseg.artifacts.file_types import ARCHIVE
from tagseg.datasets.index import ImageRecord, read_index
from tagseg.datasets.voc import CLASSES
from tagseg.errors import TagsegError, read_error
from tagseg.images.files import UNREADABLE, encode_labels
from tagseg.images.palette import IGNORE, voc_palette

# comp6: segmentation by a method trained on more than VOC's own train and val (here ImageNet, SBD)
FOLDER = "results/VOC2012/Segmentation/comp6_test_cls"


def records_of(tags: Path, split: str) -> list[ImageRecord]:
    """The images of one split in `tags.csv`, which the archive must hold.

    Raises TagsegError if there are none, or if any image has a tag that is not a class of VOC.
    """
    images = read_index(tags)
    other = next((tag for record in images for tag in record.tags if tag not in CLASSES), "")
    if other:
        raise TagsegError(
            f"{tags}: tag {other!r} is not a class of VOC; the evaluation server takes predictions of those alone"
        )
    records = [record for record in images if record.split == split]
    if not records:
        raise TagsegError(f"{tags}: no image of split {split}; name another split, or index images of that one")
    return records


def write(path: Path, masks: Iterable[tuple[str, np.ndarray]]) -> int:
    """Write an archive of ids with label maps (H, W) uint8, and return their number. Equal masks give equal bytes.

    Raises TagsegError for a mask with a label that is not a class of VOC.
    """
    count = 0
    with (
        atomic(path) as temporary,
        temporary.open("wb") as file,
        gzip.GzipFile(filename=ARCHIVE, fileobj=file, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for image_id, mask in masks:
            _check_values(f"{path}: {image_id}", mask)
            content = encode_labels(mask)
            member = tarfile.TarInfo(f"{FOLDER}/{image_id}.png")  # without time and owner
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
            count += 1
    return count


def check(path: Path, records: list[ImageRecord]) -> None:
    """Check that an archive holds one mask for each record, as the server wants it, and nothing else.

    Raises TagsegError naming the file and the first fault: of names, then of each mask's format, mode, size, values
    and palette.
    """
    try:
        with tarfile.open(path) as archive:
            wanted = {f"{FOLDER}/{record.id}.png": record for record in records}
            members = {_name(member): member for member in archive.getmembers() if not _is_parent(member)}
            _check_names(path, [_name(m) for m in archive.getmembers() if not _is_parent(m)], wanted)
            for name, record in wanted.items():
                content = archive.extractfile(members[name])
                if content is None:
                    raise TagsegError(f"{path}: {name} is not a regular file; put the PNG itself there")
                _check_mask(f"{path}: {name}", content.read(), record)
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such file; make it first (snakemake results/NAME/submission.tar.gz)") from None
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        raise read_error(error, path) or TagsegError(
            f"{path}: not a whole tar archive ({reason}); make it again"
        ) from None


def _name(member: tarfile.TarInfo) -> str:
    return posixpath.normpath(member.name)


def _is_parent(member: tarfile.TarInfo) -> bool:
    """Whether a member is the folder itself or one above it, which an archive may list."""
    return (member.isdir() and f"{FOLDER}/".startswith(f"{_name(member)}/")) or _name(member) == "."


def _check_names(path: Path, names: list[str], wanted: dict[str, ImageRecord]) -> None:
    outside = [name for name in names if posixpath.dirname(name) != FOLDER]
    if outside:
        raise TagsegError(f"{path}: {outside[0]} is not in {FOLDER}; put all masks there, and nothing else")
    doubled = [name for i, name in enumerate(names) if name in names[:i]] if len(set(names)) < len(names) else []
    if doubled:
        raise TagsegError(f"{path}: {doubled[0]} is there twice; keep one")
    missing = [name for name in wanted if name not in set(names)]
    if missing:
        raise TagsegError(f"{path}: {missing[0]} is missing ({len(missing)} of {len(wanted)} are); add it")
    extra = [name for name in names if name not in wanted]
    if extra:
        raise TagsegError(f"{path}: {extra[0]} is of no image of the split ({len(names)} for {len(wanted)}); drop it")


def _check_mask(where: str, content: bytes, record: ImageRecord) -> None:
    try:
        with Image.open(io.BytesIO(content)) as image:
            kind, mode, size, palette = image.format, image.mode, image.size, image.getpalette() or []
            mask = np.asarray(image)
    except UNREADABLE as error:
        raise TagsegError(f"{where}: not a readable PNG ({error}); make it again") from None
    if kind != "PNG" or mode != "P":
        raise TagsegError(f"{where}: {kind} of mode {mode}; it must be an indexed PNG (mode P)")
    if size != (record.width, record.height):
        raise TagsegError(
            f"{where}: {size[0]} x {size[1]} pixels, the image {record.width} x {record.height}; bring it to that size"
        )
    _check_values(where, mask)
    colours = voc_palette()[: len(CLASSES) + 1].ravel().tolist()[: len(palette)]
    if palette[: len(colours)] != colours:
        raise TagsegError(f"{where}: its palette is not VOC's; save it with the devkit's colours")


def _check_values(where: str, mask: np.ndarray) -> None:
    largest = int(mask.max(initial=0))
    if mask.size and (mask == IGNORE).any():
        raise TagsegError(f"{where}: {IGNORE} (ignore) in it; a prediction gives each pixel a class, 0..{len(CLASSES)}")
    if largest > len(CLASSES):
        raise TagsegError(f"{where}: label {largest} in it; VOC's are 0..{len(CLASSES)}")
