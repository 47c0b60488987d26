"""A project for somebody's own photographs: looked at, listed, and with a configuration fitted to them."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from PIL import Image
from tqdm import tqdm

from tagseg.config_data import CLASS_FOLDERS, FolderData
from tagseg.datasets import folder
from tagseg.datasets.checks import Checks
from tagseg.datasets.images import read_image, read_labels, require_size, write_labels
from tagseg.datasets.index import ImageRecord, csv_text
from tagseg.errors import TagsegError
from tagseg.networks.backbones import require_known
from tagseg.networks.classes import synsets_of
from tagseg.options import checked
from tagseg.parsing import parse_config
from tagseg.project import NAME, ORIGINALS, SHAPES, Survey, config_text, minutes, settings_for
from tagseg.store import atomic, write_text
from tagseg.workflow import command_line

_SHOWN = 10  # faults on the screen; all are in the report
_QUALITY = 95  # of working copies, JPEG without subsampling


def run(
    project: Path,
    images: Path,
    tags: str,
    masks: Path | None,
    classes: list[str],
    *,
    backbone: str,
    device: Literal["cpu", "cuda"],
    longest_side: int,
    cores: int,
    leave_out_faulty: bool,
) -> str:
    """Write `config.yaml` and `tags.csv` to the folder `project`, and say what was found and what to run next.

    `tags` is a table's path, or `folders` where the photographs lie in folders of classes. If a photograph is longer
    than `longest_side` pixels (0: no limit), all get working copies in `project/images`, the longer ones reduced; the
    originals are never touched. `classes` are all classes in the order of their labels, which `masks` need; empty:
    found in the tags, in the order of the alphabet. Photographs with a mask are kept from training where the table
    names no split. Raises TagsegError if the project is there already, or naming what is wrong with the photographs
    or the table.
    """
    if (project / "config.yaml").exists():
        raise TagsegError(f"{project}: has a config.yaml already; edit it, remove it, or give another folder")
    require_known(backbone)
    if masks and not classes:
        raise TagsegError(
            "--masks: labels are numbers; say with --classes which class is 1, 2, ... (dog,cat or a file)"
        )
    data = _data(images, tags, masks, classes)
    classes, records, checks = _looked_at(data, images, cores)
    if checks.faults:
        _report(project / "faults.csv", checks)
        if not leave_out_faulty or not records:
            raise TagsegError(_listed(checks, project / "faults.csv"))
    truths = folder.truth(data, records) if masks else {}
    if truths and all(record.split == "train" for record in records):
        records = [replace(r, split="val" if r.id in truths else "train") for r in records]
    known = classes if backbone == SHAPES else [name for name in classes if synsets_of(name)]
    survey = Survey(classes, records, frozenset(known))
    if not survey.training:
        raise TagsegError(f"{tags}: no photograph of split train is left; some must have tags and no mask")
    reduced = bool(longest_side) and any(max(r.width, r.height) > longest_side for r in records)
    if reduced:
        survey = replace(survey, records=_working_copies(project, survey.records, truths, longest_side, cores))
    places = {
        "root": ".",
        "images": "images" if reduced else _seen_from(project, images),
        "masks": "masks" if reduced or not masks else _seen_from(project, masks),
        "classes": classes,
    }
    names = [(f"{r.id}.jpg" if reduced else r.path.relative_to(images).as_posix()) for r in survey.records]
    rows = [[name, ";".join(r.tags), r.split] for name, r in zip(names, survey.records, strict=True)]
    write_text(project / "tags.csv", csv_text(["image", "tags", "split"], rows))
    settings = settings_for(survey, backbone, device, cores)
    text = config_text(survey, places, settings, device)
    parse_config(yaml.safe_load(text))
    write_text(project / "config.yaml", text)
    return _summary(project, survey, checks, settings, reduced=reduced, cores=cores, device=device)


def _data(images: Path, tags: str, masks: Path | None, classes: list[str]) -> FolderData:
    if masks and not masks.is_dir():
        raise TagsegError(f"{masks}: no such folder; give the one that holds the masks, or leave --masks out")
    values = {
        "root": Path(),  # of no account, as what follows is absolute
        "images": str(images.absolute()),
        "tags": tags if tags == CLASS_FOLDERS else str(Path(tags).absolute()),
        "masks": str((masks or images / "no masks").absolute()),
        "classes": classes,
    }
    return checked(FolderData, values)


def _looked_at(data: FolderData, images: Path, threads: int) -> tuple[list[str], list[ImageRecord], Checks]:
    """Classes, records with paths below `images`, and what is wrong."""
    checks = Checks(collect=True, threads=threads)
    classes, records = folder.index(data, checks)
    whole = []
    for record in records:
        with checks.of(record.id):
            require_size(record.path, record.width, record.height)
            whole.append(replace(record, path=images / record.path.relative_to(images.absolute())))
    used = data.classes or [name for name in classes if any(name in r.tags for r in whole)]
    return used, whole, checks


def _working_copies(
    project: Path, records: Sequence[ImageRecord], truths: dict[str, Path], longest_side: int, threads: int
) -> list[ImageRecord]:
    """Copies of all photographs, and of their masks, no longer than `longest_side`; `originals.csv` says whose."""

    def copy(record: ImageRecord) -> ImageRecord:
        image = Image.fromarray(read_image(record.path))
        scale = min(1.0, longest_side / max(image.size))
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        path = project / "images" / f"{record.id}.jpg"
        with atomic(path) as temporary:
            image.resize(size, Image.Resampling.LANCZOS).save(temporary, "JPEG", quality=_QUALITY, subsampling=0)
        if record.id in truths:
            mask = Image.fromarray(read_labels(truths[record.id])).resize(size, Image.Resampling.NEAREST)
            write_labels(project / "masks" / f"{record.id}.png", np.asarray(mask))
        return replace(record, path=path, width=size[0], height=size[1])

    with ThreadPoolExecutor(threads) as pool:
        copies = list(tqdm(pool.map(copy, records), total=len(records), unit="image", disable=None))
    rows = [[r.id, _seen_from(project, r.path), r.width, r.height] for r in records]
    write_text(project / ORIGINALS, csv_text(["id", "original", "width", "height"], rows))
    return copies


def _seen_from(project: Path, path: Path) -> str:
    """A path as the configuration in `project` names it."""
    return Path(os.path.relpath(path.absolute(), project.absolute())).as_posix()


def _summary(
    project: Path,
    survey: Survey,
    checks: Checks,
    settings: dict[str, Any],
    *,
    reduced: bool,
    cores: int,
    device: str,
) -> str:
    """What a person wants to know before a run."""
    training, kept = len(survey.training), len(survey.records) - len(survey.training)
    width, height = survey.size()
    lines = [
        f"{len(survey.records)} photographs ({width} x {height} pixels in the median), {training} to train on"
        + (f", {kept} kept apart" if kept else ""),
        f"{len(survey.classes)} {'class' if len(survey.classes) == 1 else 'classes'}, by training photographs:",
        survey.table(),
        *(f"note: {doubt}" for doubt in survey.doubts()),
    ]
    if checks.unnamed:
        first = ", ".join(path.name for path in checks.unnamed[:3])
        lines.append(f"note: {len(checks.unnamed)} photographs have no tags and are not used: {first}, ...")
    if checks.faults:
        lines.append(f"left out: {len(checks.faults)}, with reasons in {project / 'faults.csv'}")
    if reduced:
        lines.append(f"working copies of all photographs in {project / 'images'}; yours are as they were")
    iterations = settings["segmentation"]["iterations"]
    if device == "cpu" and settings["network"]["backbone"] != SHAPES:
        masks, training_time = minutes(survey, cores, iterations)
        lines.append(
            f"expected on {cores} cores of a server: masks {masks} min, then {training_time} min to train a network"
        )
    call = command_line(project, cores)
    lines += [
        f"wrote {project / 'config.yaml'} and {project / 'tags.csv'}",
        "next, the masks and a network trained on them:",
        f"  {call}",
        "or the masks alone:",
        f"  tagseg masks {project}",
        f"results will be in {project / 'results' / NAME}",
    ]
    return "\n".join(lines)


def _report(path: Path, checks: Checks) -> None:
    rows = [[f.file, f.line or "", f.image, f.what, f.remedy] for f in checks.faults]
    write_text(path, csv_text(["file", "line", "image", "what", "remedy"], rows))


def _listed(checks: Checks, report: Path) -> str:
    lines = [str(fault) for fault in checks.faults[:_SHOWN]]
    lines.append(
        f"{len(checks.faults)} faults, all in {report}; mend them, or leave these images out with --leave-out-faulty"
    )
    return "\n".join(lines)
