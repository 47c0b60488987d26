"""Make the masks of a project's photographs, to view or to train a network of one's own."""

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import yaml
from PIL import Image
from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.atomic import atomic, remove_leftovers, write_text
from tagseg.artifacts.file_types import file_type
from tagseg.artifacts.outputs import has_content_of, require_list, require_own
from tagseg.commands.run_workflow import make
from tagseg.config import Crf, DatasetConfig, Prior
from tagseg.config.arguments import CORES, WRITTEN, Cores, Project
from tagseg.config.parsing import parse_config, require_unique_keys
from tagseg.datasets.index import read_classes, read_index
from tagseg.datasets.originals import Original, read_originals
from tagseg.errors import TagsegError
from tagseg.figures.letters import key_to
from tagseg.images.decoding import is_upright_jpeg
from tagseg.images.files import LONGEST_JPEG, read_image, write_jpeg, write_labels
from tagseg.images.marks import PHOTOGRAPH
from tagseg.networks.sources import no_such_file

Layout = Literal["plain", "voc"]


def run(
    project: Project,
    output: Annotated[
        Path | None, WRITTEN, Field(description="Folder to copy the masks to, at the photographs' original sizes")
    ] = None,
    *,
    prior: Annotated[
        Prior, Field(description="What they are made of: class masks, or fgbg: any foreground")
    ] = "multiclass",
    crf: Annotated[Crf, Field(description="How they are smoothed")] = "higher_order",
    layout: Annotated[
        Layout,
        Field(description="Of the copy. voc: a devkit's folders, for torchvision and mmsegmentation"),
    ] = "plain",
    cores: Cores = CORES,
) -> str:
    """Make the masks of a project's photographs, and a sheet of them; an interrupted run is resumed.

    With `output`, they are also copied there, each at its photograph's original size. Layout `plain`: ID.png and
    classes.txt. Layout `voc`: a devkit's folders, JPEGImages, SegmentationClass and ImageSets/Segmentation/train.txt,
    which torchvision and mmsegmentation read. Only training photographs that have a tag are copied.

    Returns lines for the terminal: where masks and sheet are. Raises TagsegError if `project` has no configuration, if
    making them failed, or if a file that tagseg did not write is in the way in `output`.
    """
    name, settings = _configuration(project)
    weights = settings.network.weight_file
    if weights is not None and not (project / weights).is_file():
        raise TagsegError(no_such_file(project / weights))
    results = f"results/{name}"
    masks = f"{results}/masks/{prior}-{crf}"
    if output is not None and output.is_dir() and any(output.iterdir()):  # before what takes minutes
        make(project, [f"{results}/tags.csv"], cores)
        _plan(project, results, output, layout)
    make(project, [f"{masks}-png", f"{masks}-preview.png"], cores)
    lines = [f"masks: {project / masks}-png", f"a sheet of them: {project / masks}-preview.png"]
    classes = read_classes(project / results / "classes.txt")
    lines += filter(None, [key_to(classes)])
    if output is not None:
        plan = _plan(project, results, output, layout)
        _copy(Path(f"{project / masks}-png"), plan)
        lines.append(f"{len(plan.masks)} masks at their photographs' size: {output}")
    return "\n".join(lines)


def _configuration(project: Path) -> tuple[str, DatasetConfig]:
    """The name of a project's default data set, and its configuration. Raises TagsegError if there is none."""
    file = project / "config.yaml"
    if not file.is_file():
        raise TagsegError(
            f"{file}: no such file; make a project first "
            f"(tagseg init {shlex.quote(str(project))} --images ... --tags ...)"
        )
    require_unique_keys(file)
    config = parse_config(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    return config.default, config.datasets[config.default]


@dataclass(frozen=True)
class _Plan:
    """Files to write: masks by id, with their width and height; JPEGs with their photographs; lists, as lines."""

    masks: dict[str, tuple[Path, tuple[int, int]]]
    photographs: dict[Path, Path]
    lists: dict[Path, list[str]]


def _plan(project: Path, results: str, output: Path, layout: Layout) -> _Plan:
    """The files of a copy. Raises TagsegError if one of them exists, and is not what tagseg would write there."""
    if output.exists() and not output.is_dir():
        raise TagsegError(f"{output}: is a file; give a folder to write to")
    records = [r for r in read_index(project / results / "tags.csv", "train") if r.tags]
    data = _configuration(project)[1].data
    originals = read_originals(project / data.root / data.images) if data.kind == "folder" else {}
    folder = output / "SegmentationClass" if layout == "voc" else output
    masks, photographs = {}, {}
    lists = {output / "classes.txt": read_classes(project / results / "classes.txt")}
    for record in records:
        original = originals.get(record.id) or Original(project / record.path, record.width, record.height, "")
        original.require_unchanged()
        masks[record.id] = folder / f"{record.id}.png", (original.width, original.height)
        if layout == "voc":
            photographs[output / "JPEGImages" / f"{record.id}.jpg"] = original.path
    if layout == "voc":
        lists[output / "ImageSets" / "Segmentation" / "train.txt"] = [record.id for record in records]
    require_own(path for path, _ in masks.values())
    for path, photograph in photographs.items():
        if file_type(path) != PHOTOGRAPH and not (has_content_of(path, photograph) and is_upright_jpeg(photograph)):
            require_own([path])
    for path, lines in lists.items():
        require_list(path, lines)
    return _Plan(masks, photographs, lists)


def _copy(source: Path, plan: _Plan) -> None:
    """Write the files of a copy; `source` is the folder of masks at the size of the working copies."""
    for image_id, (path, size) in tqdm(plan.masks.items(), unit="image", disable=None):
        with Image.open(source / f"{image_id}.png") as mask:
            labels = np.asarray(mask.resize(size, Image.Resampling.NEAREST))
        with atomic(path, tidy=False) as temporary:
            write_labels(temporary, labels)
    for path, original in tqdm(plan.photographs.items(), unit="image", disable=None):
        _write_jpeg(original, path)
    for path, lines in plan.lists.items():
        write_text(path, "".join(f"{line}\n" for line in lines))
    remove_leftovers(path for path, _ in plan.masks.values())


def _write_jpeg(source: Path, target: Path) -> None:
    """Write a photograph as an upright JPEG; if it is one already, the copy has the same bytes."""
    upright = is_upright_jpeg(source)
    if upright and has_content_of(target, source):
        return  # the target may be the photograph itself
    with atomic(target) as temporary:
        if upright:
            shutil.copyfile(source, temporary)
            return
        image = Image.fromarray(read_image(source))
        if max(image.size) > LONGEST_JPEG:
            raise TagsegError(
                f"{source}: {image.width} x {image.height} pixels; a JPEG has room for {LONGEST_JPEG} each way; "
                "use --layout plain"
            )
        write_jpeg(temporary, image)
