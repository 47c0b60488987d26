"""A project for somebody's own photographs: looked at, listed, and with a configuration fitted to them."""

import itertools
import os
import shlex
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from PIL import Image
from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.atomic import atomic, tidied, write_text
from tagseg.artifacts.forms import form_of
from tagseg.artifacts.outputs import require_own
from tagseg.commands.project import (
    LIGHT,
    NAME,
    PAPER_BACKBONE,
    SHAPES,
    Recipe,
    Survey,
    config_text,
    minutes,
    settings_for,
)
from tagseg.commands.run_workflow import command_line
from tagseg.config.arguments import CORES, POSITIONAL, WRITTEN, Cores
from tagseg.config.data import CLASS_FOLDERS, FolderData
from tagseg.config.names import plain, unquoted
from tagseg.config.parsing import checked, parse_config
from tagseg.datasets import folder, folder_masks
from tagseg.datasets.checks import Checks
from tagseg.datasets.index import BACKGROUND, ImageRecord, csv_text
from tagseg.datasets.layouts import LAYOUTS
from tagseg.datasets.texts import read_text
from tagseg.datasets.truth_checks import TruthFile, survey_truth
from tagseg.errors import TagsegError
from tagseg.images.files import SMALLEST_SIDE, read_image, require_size, write_labels
from tagseg.images.formats import COPIES, ORIGINALS, are_copies, reason_and_remedy, unread_line
from tagseg.images.marks import PHOTOGRAPH, SOURCES, TRUTH, jpeg_comment
from tagseg.networks.backbones import require_known
from tagseg.networks.synsets import synsets_of
from tagseg.runtime.device import has_gpu

_LISTS = (".txt", ".csv", ".names")  # of a file of classes: a misspelt path is no name of a class
_SHOWN = 10  # faults on the screen; all are in the report
_LONGEST = 65_500  # pixels of a JPEG's side
_QUALITY = 95  # of working copies, JPEG without subsampling


def run(
    project: Annotated[Path, POSITIONAL, WRITTEN, Field(description="Folder of the project")],
    images: Annotated[Path, Field(description="Folder of photographs, in folders of any depth")],
    tags: Annotated[
        str, Field(description="Table of tags: .csv, .tsv, .json, .xlsx; or folders: folders are called like the class")
    ],
    masks: Annotated[
        Path | None,
        Field(description="Folder of masks of some photographs, to evaluate on; these are not trained on"),
    ] = None,
    classes: Annotated[
        str, Field(description="All classes in the order of their labels, a,b,c or a file with one a line; for --masks")
    ] = "",
    *,
    foreground: Annotated[
        int,
        Field(ge=0, le=65535, description="Of black and white --masks: the value of white, 255; 0: they hold labels"),
    ] = 0,
    backbone: Annotated[
        str,
        Field(description="Pre-trained network, docs/backbones.md; not given: EfficientNet-Lite0, or the recipe's"),
    ] = "",
    recipe: Annotated[
        Recipe, Field(description="best: what measured best; paper: the paper's choices in every stage, for a GPU")
    ] = "best",
    device: Annotated[
        Literal["auto", "cpu", "cuda"], Field(description="Where networks will run; auto: a GPU if there is one")
    ] = "auto",
    longest_side: Annotated[
        int, Field(ge=0, description="Work on copies of at most this many pixels if a photograph is longer; 0: never")
    ] = 640,
    cores: Cores = CORES,
    leave_out_faulty: Annotated[bool, Field(description="Leave out what is broken, and say what")] = False,
) -> str:
    """Look at photographs and tags, and write a configuration fitted to them.

    Write `config.yaml` and a table of tags to the folder `project`, and say what was found and what to run next.

    `tags` is a table's path, or `folders` where the photographs lie in folders of classes. If a photograph is longer
    than `longest_side` pixels (0: no limit), all get working copies in `project/working_copies`, the longer ones
    reduced. The project may lie in the folder of the photographs or of their table: no file that is there is touched.
    `classes` are all classes in the order of their labels, which `masks` need; empty: found in the tags, in the order
    of the alphabet. With `foreground`, masks have two values, 0 and this one. Photographs with a mask are kept from
    training where the table names no split; where it does and none of val has one, the masks are not used.

    Raises TagsegError if the project is there already, for a file in the place of one that must be written, or naming
    what is wrong with the photographs, the table or the masks.
    """
    if (project / "config.yaml").exists():
        raise TagsegError(f"{project}: has a config.yaml already; edit it, remove it, or give another folder")
    backbone = backbone or (PAPER_BACKBONE if recipe == "paper" else LIGHT)
    require_known(backbone)
    given = _class_names(classes)
    if device == "auto":
        device = "cuda" if has_gpu() else "cpu"
    if foreground and not masks:
        raise TagsegError("--foreground: says what white is in masks; give their folder with --masks, or leave it out")
    if masks and not (given or foreground):
        raise TagsegError(
            "--masks: labels are numbers; say with --classes which class is 1, 2, ... (dog,cat or a file)"
        )
    data = _data(images, tags, masks, given, foreground)
    names, records, checks = _looked_at(data, images, cores)
    faults = next(path for path in _names(project / "faults.csv") if _is_free(path) or form_of(path) == "faults")
    truths, told = _truths(data, records, names, checks)
    if checks.faults or checks.unread:
        _report(faults, checks)
        faulty = {fault.image for fault in checks.faults}
        records = [record for record in records if record.id not in faulty]
        truths = {image_id: file for image_id, file in truths.items() if image_id not in faulty}
        if checks.faults and (not leave_out_faulty or not records):
            raise TagsegError(_listed(checks, faults))
    if truths and all(record.split == "train" for record in records):
        records = [replace(r, split="val" if r.id in truths else "train") for r in records]
    if truths and not any(record.split == "val" and record.id in truths for record in records):
        told.append(f"note: no photograph of split val has a mask: the {len(truths)} of others are not used")
        truths = {}
    _require_room(project, records, truths)
    known = names if backbone == SHAPES else [name for name in names if synsets_of(name)]
    survey = Survey(names, records, frozenset(known))
    if not survey.training:
        raise TagsegError(f"{tags}: no photograph of split train is left; some must have tags and no mask")
    table = next(filter(_is_free, _names(project / "tags.csv")))
    reduced = bool(longest_side) and any(max(r.width, r.height) > longest_side for r in records)
    if reduced:
        survey = replace(survey, records=_working_copies(project, survey.records, truths, longest_side, cores))
    unnamed = next(filter(_is_free, _names(project / "masks")))  # for truth that may come later
    places: dict[str, Any] = {
        "root": ".",
        "images": f"{COPIES}/images" if reduced else _seen_from(project, images),
        "tags": table.name,
        "masks": f"{COPIES}/masks" if reduced else _seen_from(project, masks) if masks else unnamed.name,
        "classes": names,
    }
    if masks and not truths:
        places["masks"] = ""
    elif foreground and not reduced:  # working copies hold labels
        places["foreground"] = foreground
    files = [(f"{r.id}.jpg" if reduced else r.path.relative_to(images).as_posix()) for r in survey.records]
    rows = [[file, ";".join(r.tags), r.split] for file, r in zip(files, survey.records, strict=True)]
    write_text(table, csv_text(["image", "tags", "split"], rows))
    settings = settings_for(survey, backbone, device, cores, recipe)
    text = config_text(survey, places, settings, device)
    parse_config(yaml.safe_load(text))
    write_text(project / "config.yaml", text)
    return _summary(
        project, images, table, faults, survey, checks, told, settings, reduced=reduced, cores=cores, device=device
    )


def _class_names(classes: str) -> list[str]:
    """Names joined by commas, or the lines of a file; a first `background` is every list's own."""
    if Path(classes).suffix in _LISTS or os.path.isfile(classes):  # noqa: PTH113 (a list may be too long for a path)
        text = read_text(Path(classes))
    else:
        text = classes.replace(",", "\n")
    names = [name for line in text.splitlines() if (name := unquoted(plain(line)))]
    return names[1:] if names[:1] == [BACKGROUND] else names


def _data(images: Path, tags: str, masks: Path | None, classes: list[str], foreground: int) -> FolderData:
    if masks and not masks.is_dir():
        raise TagsegError(f"{masks}: no such folder; give the one that holds the masks, or leave --masks out")
    if masks and not folder_masks.candidates(masks):
        raise TagsegError(f"{masks}: no mask in it; give the folder that holds the masks, or leave --masks out")
    values = {
        "root": Path(),  # of no account, as what follows is absolute
        "images": str(images.absolute()),
        "tags": tags if tags == CLASS_FOLDERS else str(Path(tags).absolute()),
        "masks": str(masks.absolute()) if masks else "",
        "foreground": foreground,
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


def _truths(
    data: FolderData, records: list[ImageRecord], classes: list[str], checks: Checks
) -> tuple[dict[str, TruthFile], list[str]]:
    """Masks by image, and lines on them; what is wrong with single ones goes to `checks`.

    Raises TagsegError for what is wrong with the masks as a whole: none is a photograph's, none holds a label.
    """
    files = folder_masks.truth_files(data, records, classes) if records else []
    if not files:
        return {}, []
    survey = survey_truth(files, classes, checks, LAYOUTS["folder"].white)
    lines = [f"{len(files)} of {len(records)} photographs have a mask"]
    lines += [f"note: {doubt}" for doubt in survey.doubts()]
    spare = folder_masks.unmatched(data, files)
    if spare:
        first = ", ".join(path.name for path in spare[:3]) + (", ..." if len(spare) > 3 else "")
        lines.append(f"note: {len(spare)} masks are of no photograph and are not used: {first}")
    return {file.record.id: file for file in files}, lines


def _working_copies(
    project: Path, records: Sequence[ImageRecord], truths: dict[str, TruthFile], longest_side: int, threads: int
) -> list[ImageRecord]:
    """Copies of all photographs, and of their masks, no longer than `longest_side`; `originals.csv` says whose.

    One that would be narrower than networks can take stays as long as that needs.
    """

    def copy(record: ImageRecord) -> ImageRecord:
        image = Image.fromarray(read_image(record.path))
        # a panorama keeps its shape, and a shorter side that networks can take
        scale = min(1.0, max(longest_side / max(image.size), SMALLEST_SIDE / min(image.size)))
        size = round(image.width * scale), round(image.height * scale)
        if max(size) > _LONGEST:
            raise TagsegError(f"{record.path}: {image.width} x {image.height} pixels are no photograph's; cut it up")
        path = project / COPIES / "images" / f"{record.id}.jpg"
        with atomic(path, tidy=False) as temporary:
            small = image.resize(size, Image.Resampling.LANCZOS)
            small.save(temporary, "JPEG", quality=_QUALITY, subsampling=0, comment=jpeg_comment(PHOTOGRAPH))
        if record.id in truths:
            mask = Image.fromarray(truths[record.id].read()).resize(size, Image.Resampling.NEAREST)
            with atomic(project / COPIES / "masks" / f"{record.id}.png", tidy=False) as temporary:
                write_labels(temporary, np.asarray(mask), TRUTH)
        return replace(record, path=path, width=size[0], height=size[1])

    ids = {record.id for record in records}
    rows = [[r.id, _seen_from(project, r.path), r.width, r.height] for r in records]
    # first: it says what the folder is, should this be broken off
    write_text(project / COPIES / ORIGINALS, csv_text(["id", "original", "width", "height"], rows))
    with ThreadPoolExecutor(threads) as pool:
        copies = list(tqdm(pool.map(copy, records), total=len(records), unit="image", disable=None))
    tidied(record.path for record in copies)
    for path in (project / COPIES).glob("*/*"):  # of an attempt before, perhaps with other photographs
        if path.stem not in (truths if path.parent.name == "masks" else ids) and form_of(path) in SOURCES:
            path.unlink()
    return copies


def _require_room(project: Path, records: Sequence[ImageRecord], truths: dict[str, TruthFile]) -> None:
    """Raise TagsegError if something that is not tagseg's lies where the project's own folders will be."""
    copies, results = project / COPIES, project / "results" / NAME
    if copies.exists() and not are_copies(copies):
        raise TagsegError(f"{copies}: is there already, and is where working copies go; give another folder")
    if results.exists() and not (project / ".snakemake").exists():
        raise TagsegError(f"{results}: is there already, and is where results go; give another folder")
    require_own((copies / "images" / f"{record.id}.jpg" for record in records), PHOTOGRAPH)
    require_own((copies / "masks" / f"{image_id}.png" for image_id in truths), TRUTH)


def _names(path: Path) -> Iterator[Path]:
    """The path, and others beside it: `tags.csv`, `tags-2.csv`, ..."""
    yield path
    yield from (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(2))


def _is_free(path: Path) -> bool:
    return not os.path.lexists(path)


def _seen_from(project: Path, path: Path) -> str:
    """A path as the configuration in `project` names it."""
    return Path(os.path.relpath(path.absolute(), project.absolute())).as_posix()


def _summary(
    project: Path,
    images: Path,
    table: Path,
    faults: Path,
    survey: Survey,
    checks: Checks,
    told: list[str],
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
        *told,
    ]
    if checks.unnamed:
        first = ", ".join(path.name for path in checks.unnamed[:3])
        lines.append(f"note: {len(checks.unnamed)} photographs have no tags and are not used: {first}, ...")
    if checks.unread:
        below = [path.removeprefix(f"{images.absolute()}/") for path in checks.unread]
        lines.append(f"note: {unread_line(below)}; all are in {faults}")
    if checks.faults:
        lines.append(f"left out: {len(checks.faults)}, with reasons in {faults}")
    if reduced:
        lines.append(f"working copies of all photographs in {project / COPIES}; yours are as they were")
    if settings["recipe"] == "paper":
        lines.append(
            "note: the paper's recipe trains two networks for 60,000 steps each: hours on a GPU, weeks without"
        )
    elif device == "cpu" and settings["network"]["backbone"] != SHAPES:
        iterations = settings["segmentation"]["iterations"]
        masks, training_time = minutes(survey, cores, iterations)
        lines.append(
            f"expected on {cores} cores of a server: masks {masks} min, then {training_time} min to train a network"
        )
    call = command_line(project, cores)
    lines += [
        f"wrote {project / 'config.yaml'} and {table}",
        "next, the masks and a network trained on them:",
        f"  {call}",
        "or the masks alone:",
        f"  tagseg masks {shlex.quote(str(project))}",
        f"results will be in {project / 'results' / NAME}",
    ]
    return "\n".join(lines)


def _report(path: Path, checks: Checks) -> None:
    rows = [[f.file, f.line or "", f.image, f.what, f.remedy] for f in checks.faults]
    rows += [[file, "", "", *reason_and_remedy(file)] for file in checks.unread]
    write_text(path, csv_text(["file", "line", "image", "what", "remedy"], rows))


def _listed(checks: Checks, report: Path) -> str:
    lines = [str(fault) for fault in checks.faults[:_SHOWN]]
    lines.append(
        f"{len(checks.faults)} faults, all in {report}; fix them, or leave these images out with --leave-out-faulty"
    )
    return "\n".join(lines)
