"""Masks of a project's photographs, for people who want these alone: to look at, or to train a network of their own."""

import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from PIL import Image
from tqdm import tqdm

from tagseg.config import Crf, DatasetConfig, Prior
from tagseg.datasets.images import read_image, write_labels
from tagseg.datasets.index import ImageRecord, read_classes, read_index, read_table
from tagseg.errors import TagsegError
from tagseg.parsing import parse_config
from tagseg.project import ORIGINALS
from tagseg.store import atomic, write_text
from tagseg.workflow import make

_QUALITY = 95  # of photographs that a layout wants as JPEG and that are something else
Layout = Literal["plain", "voc"]


def run(project: Path, output: Path | None, *, prior: Prior, crf: Crf, layout: Layout, cores: int) -> str:
    """Have masks made, and copy them to `output`, each at its photograph's original size; says where all is.

    `plain`: ID.png and classes.txt. `voc`: a devkit's folders, JPEGImages, SegmentationClass and
    ImageSets/Segmentation/train.txt, which torchvision and mmsegmentation read. Only training photographs that have a
    tag are copied. Raises TagsegError if `project` has no configuration, or if making them failed.
    """
    name, _ = _configuration(project)
    results = f"results/{name}"
    masks = f"{results}/masks/{prior}-{crf}"
    make(project, [f"{masks}-png", f"{masks}-preview.png"], cores)
    lines = [f"masks: {project / masks}-png", f"a sheet of them: {project / masks}-preview.png"]
    if output is not None:
        tagged = [r for r in read_index(project / results / "tags.csv", "train") if r.tags]
        classes = read_classes(project / results / "classes.txt")
        _copy(project, Path(f"{project / masks}-png"), tagged, output, layout, classes)
        lines.append(f"{len(tagged)} masks at their photographs' size: {output}")
    return "\n".join(lines)


def _configuration(project: Path) -> tuple[str, DatasetConfig]:
    """The default data set of a project, and its name."""
    file = project / "config.yaml"
    if not file.is_file():
        raise TagsegError(f"{file}: no such file; make a project first (tagseg init {project} --images ... --tags ...)")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TagsegError(f"{file}: not YAML ({' '.join(str(error).split())}); mend it") from None
    config = parse_config(content or {})
    return config.default, config.datasets[config.default]


def _copy(
    project: Path, masks: Path, records: list[ImageRecord], output: Path, layout: Layout, classes: list[str]
) -> None:
    if output.exists() and not output.is_dir():
        raise TagsegError(f"{output}: is a file; give a folder to write to")
    originals = _originals(project)
    for record in tqdm(records, unit="image", disable=None):
        original, size = originals.get(record.id, (project / record.path, (record.width, record.height)))
        with Image.open(masks / f"{record.id}.png") as mask:
            labels = np.asarray(mask.resize(size, Image.Resampling.NEAREST))
        folder = output / "SegmentationClass" if layout == "voc" else output
        write_labels(folder / f"{record.id}.png", labels)
        if layout == "voc":
            _write_jpeg(original, output / "JPEGImages" / f"{record.id}.jpg")
    write_text(output / "classes.txt", "".join(f"{name}\n" for name in classes))
    if layout == "voc":
        names = "".join(f"{record.id}\n" for record in records)
        write_text(output / "ImageSets" / "Segmentation" / "train.txt", names)


def _originals(project: Path) -> dict[str, tuple[Path, tuple[int, int]]]:
    """Original photograph, and its width and height, by id; of a project without working copies, none."""
    file = project / ORIGINALS
    if not file.is_file():
        return {}
    rows = [row for _, row in read_table(file, ["id", "original", "width", "height"])]
    return {row["id"]: (project / row["original"], (int(row["width"]), int(row["height"]))) for row in rows}


def _write_jpeg(source: Path, target: Path) -> None:
    """The photograph as an upright JPEG: as it is, if it is one."""
    with Image.open(source) as image:
        as_it_is = image.format == "JPEG" and image.mode in ("RGB", "L") and image.getexif().get(0x0112, 1) == 1
    with atomic(target) as temporary:
        if as_it_is:
            shutil.copyfile(source, temporary)
        else:
            Image.fromarray(read_image(source)).save(temporary, "JPEG", quality=_QUALITY, subsampling=0)
