"""Make a project of somebody's own photographs: a table of their tags, and a configuration fitted to them."""

import itertools
import os
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from tagseg.artifacts.atomic import write_text
from tagseg.artifacts.file_types import file_type
from tagseg.commands.inspection import Inspection, class_names, fault_lines, folder_data, inspect, write_faults
from tagseg.commands.project import (
    LIGHT,
    NAME,
    PAPER_BACKBONE,
    SHAPES,
    Survey,
    config_text,
    minutes,
    path_in_config,
    settings_for,
)
from tagseg.commands.run_workflow import command_line
from tagseg.commands.working_copies import require_room, write_working_copies
from tagseg.config.arguments import CORES, POSITIONAL, WRITTEN, Cores
from tagseg.config.parsing import parse_config
from tagseg.config.recipes import Recipe
from tagseg.datasets.digests import files_below
from tagseg.datasets.index import csv_text
from tagseg.errors import TagsegError, first_of
from tagseg.images.formats import COPIES, unread_line
from tagseg.networks.backbones import require_known
from tagseg.networks.synsets import synsets_of
from tagseg.runtime.device import has_gpu


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
    """Inspect photographs and tags, and write a configuration fitted to them.

    `config.yaml` and a table of tags are written to the folder `project`. `tags` is a table's path, or `folders` where
    the photographs lie in folders of classes. If a photograph is longer than `longest_side` pixels (0: no limit), all
    get working copies in `project/working_copies`, the longer ones reduced. The project may lie in the folder of the
    photographs or of their table: no file that is there is touched. `classes` are all classes in the order of their
    labels, which `masks` need; by default those found in the tags, in alphabetical order. With `foreground`, masks have
    two values, 0 and this one. If the table names no split, photographs with a mask are not trained on; if it does and
    none of split val has a mask, the masks are not used.

    Returns lines for the terminal: what was found, and what to run next. Raises TagsegError if the project is there
    already, if a file is in the way of one that must be written, or naming what is wrong with the photographs, the
    table or the masks.
    """
    if (project / "config.yaml").exists():
        raise TagsegError(f"{project}: has a config.yaml already; edit it, remove it, or give another folder")
    backbone = backbone or (PAPER_BACKBONE if recipe == "paper" else LIGHT)
    require_known(backbone)
    names = class_names(classes)
    if device == "auto":
        device = "cuda" if has_gpu() else "cpu"
    _require_described(masks, names, foreground)
    inspected = inspect(folder_data(images, tags, masks, names, foreground), images, cores)
    report = next(path for path in _names(project / "faults.csv") if _is_free(path) or file_type(path) == "faults")
    usable = _usable(inspected, report, leave_out_faulty).with_splits()
    _require_no_results(project)
    require_room(project, usable.records, usable.masks)
    survey = _survey(usable, backbone)
    if not survey.training:
        raise TagsegError(f"{tags}: no photograph of split train is left; some must have tags and no mask")

    table, image_folder = next(filter(_is_free, _names(project / "tags.csv"))), images
    mask_folder: Path | None = masks or next(filter(_is_free, _names(project / "masks")))  # for later
    reduced = bool(longest_side) and any(max(r.width, r.height) > longest_side for r in survey.records)
    if reduced:
        image_folder, mask_folder = project / COPIES / "images", project / COPIES / "masks"
        copies = write_working_copies(project, survey.records, usable.masks, longest_side, cores)
        survey = replace(survey, records=copies)
        foreground = 0  # their masks hold labels
    if masks and not usable.masks:
        mask_folder, foreground = None, 0
    elif mask_folder and not masks:
        mask_folder.mkdir(parents=True, exist_ok=True)  # the configuration names it, so it has to be there
    settings = settings_for(survey, backbone, device, cores, recipe)
    _write_table(table, survey, image_folder)
    places = _places(project, table, survey, image_folder, mask_folder, foreground)
    _write_config(project / "config.yaml", config_text(survey, places, settings, device))

    lines = _findings(survey, usable, images, report)
    if reduced:
        lines.append(f"working copies of all photographs in {project / COPIES}; yours are as they were")
    lines += _expectations(survey, settings, cores, device)
    lines.append(f"wrote {project / 'config.yaml'} and {table}")
    return "\n".join(lines + _next_steps(project, cores))


def _require_described(masks: Path | None, classes: list[str], foreground: int) -> None:
    """Raise TagsegError if there are masks without what their values mean, or that without masks."""
    if foreground and not masks:
        raise TagsegError("--foreground: says what white is in masks; give their folder with --masks, or leave it out")
    if masks and not (classes or foreground):
        raise TagsegError(
            "--masks: labels are numbers; say with --classes which class is 1, 2, ... (dog,cat or a file)"
        )


def _usable(inspected: Inspection, report: Path, leave_out_faulty: bool) -> Inspection:
    """What is left without faulty photographs; all that is wrong is written to `report`.

    Raises TagsegError that lists the faults if there are any and they are not to be left out, or if nothing is left.
    """
    checks = inspected.checks
    if not checks.faults and not checks.unread:
        return inspected
    write_faults(report, checks)
    usable = inspected.without_faulty()
    if checks.faults and (not leave_out_faulty or not usable.records):
        raise TagsegError(fault_lines(checks, report))
    return usable


def _require_no_results(project: Path) -> None:
    """Raise TagsegError if something that is not this project's lies where its results and logs will be.

    Results of an earlier project in this folder may be there, known by their content, and then its logs beside them.
    """
    results, logs = project / "results" / NAME, project / "logs" / NAME
    files = [path for path in files_below(results) if "checkpoints" not in path.relative_to(results).parts]
    foreign = [path for path in files if file_type(path) is None or (path.suffix == ".txt" and path.stem != "classes")]
    if foreign or (logs.exists() and not files):
        raise TagsegError(
            f"{foreign[0] if foreign else logs}: is there already, where results and logs go; move it away, or give "
            "another folder"
        )


def _survey(usable: Inspection, backbone: str) -> Survey:
    known = usable.classes if backbone == SHAPES else [name for name in usable.classes if synsets_of(name)]
    return Survey(usable.classes, usable.records, frozenset(known))


def _names(path: Path) -> Iterator[Path]:
    """The path, and others beside it: `tags.csv`, `tags-2.csv`, ..."""
    yield path
    yield from (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(2))


def _is_free(path: Path) -> bool:
    return not os.path.lexists(path)


def _write_table(table: Path, survey: Survey, images: Path) -> None:
    """Write the table of tags, which names photographs below the folder `images`."""
    rows = [[r.path.relative_to(images).as_posix(), ";".join(r.tags), r.split] for r in survey.records]
    write_text(table, csv_text(["image", "tags", "split"], rows))


def _places(
    project: Path, table: Path, survey: Survey, images: Path, masks: Path | None, foreground: int
) -> dict[str, Any]:
    """The keys of `data` in the configuration, without its kind."""
    places = {
        "root": ".",
        "images": path_in_config(project, images),
        "tags": table.name,
        "masks": path_in_config(project, masks) if masks else "",
        "classes": survey.classes,
    }
    return places | {"foreground": foreground} if foreground else places


def _write_config(path: Path, text: str) -> None:
    parse_config(yaml.safe_load(text))  # before it is written: it must be valid
    write_text(path, text)


def _findings(survey: Survey, usable: Inspection, images: Path, report: Path) -> list[str]:
    """Lines on the photographs, classes and masks, and on what is not used."""
    training, checks = len(survey.training), usable.checks
    kept = len(survey.records) - training
    width, height = survey.size()
    lines = [
        f"{len(survey.records)} photographs ({width} x {height} pixels in the median), {training} to train on"
        + (f", {kept} kept apart" if kept else ""),
        f"{len(survey.classes)} {'class' if len(survey.classes) == 1 else 'classes'}, by training photographs:",
        survey.table(),
        *(f"note: {doubt}" for doubt in survey.doubts()),
        *usable.notes,
    ]
    if checks.unnamed:
        first = first_of([path.name for path in checks.unnamed])
        lines.append(f"note: {len(checks.unnamed)} photographs have no tags and are not used: {first}")
    if checks.unread:
        below = [path.removeprefix(f"{images.absolute()}/") for path in checks.unread]
        lines.append(f"note: {unread_line(below)}; all are in {report}")
    if checks.faults:
        lines.append(f"left out: {len(checks.faults)}, with reasons in {report}")
    return lines


def _expectations(survey: Survey, settings: dict[str, Any], cores: int, device: str) -> list[str]:
    """A line on how long a run will take, where that is known."""
    if settings["recipe"] == "paper":
        return ["note: the paper's recipe trains two networks for 60,000 steps each: hours on a GPU, weeks without"]
    if device == "cuda" or settings["network"]["backbone"] == SHAPES:
        return []
    masks, training = minutes(survey, cores, settings["segmentation"]["iterations"])
    return [f"expected on {cores} cores of a server: masks {masks} min, then {training} min to train a network"]


def _next_steps(project: Path, cores: int) -> list[str]:
    return [
        "next, the masks and a network trained on them:",
        f"  {command_line(project, cores)}",
        "or the masks alone:",
        f"  tagseg masks {shlex.quote(str(project))}",
        f"results will be in {project / 'results' / NAME}",
    ]
