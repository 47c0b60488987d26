"""The classes of your own data in VOC's format: from the configuration, or from a file that annotation tools write."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from tagseg.config.data import class_names_fault
from tagseg.config.names import plain
from tagseg.datasets.index import BACKGROUNDS, read_utf8
from tagseg.errors import TagsegError
from tagseg.images.palette import IGNORE, voc_palette

LABELMAP = "labelmap.txt"  # of CVAT and Datumaro: NAME:R,G,B:PARTS:ACTIONS
FILES = (LABELMAP, "class_names.txt", "labels.txt")  # the others are labelme's: one name per line
_IGNORED = "__ignore__"
_COLOUR = re.compile(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*")
_BORDER = (224, 224, 192)  # VOC's colour of label 255

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class ClassNames:
    """Class names by label (the first is label 1), without background, and their source: a file or a key.

    `colours` maps each colour of a painted mask to its label; it is empty if they are unknown. `indexed` says whether
    the indices of an indexed mask are known to be labels: they are not if a list of colours has the background in
    another place than the first.
    """

    names: tuple[str, ...]
    source: str
    colours: dict[Colour, int] = field(default_factory=dict)
    indexed: bool = True


@dataclass(frozen=True)
class _Entry:
    """A line of a class file; `colour` is None if it gives none."""

    line: int
    name: str
    colour: Colour | None


def class_file(root: Path) -> Path | None:
    """The file in a data set's folder that names its classes, if there is one."""
    return next((root / name for name in FILES if (root / name).is_file()), None)


def own_classes(root: Path, given: list[str]) -> ClassNames | None:
    """The classes in the configuration (`given`) or else in a file in `root`; None if neither names any.

    If both do, `given` sets the order, and a `labelmap.txt` the colours. Raises TagsegError naming the file and line of
    an invalid class.
    """
    path = class_file(root)
    if given and (path is None or path.name != LABELMAP):
        return ClassNames(tuple(given), "data.classes")
    if path is None:
        return None
    entries = _entries(path)
    names = tuple(entry.name for entry in entries if entry.name not in (*BACKGROUNDS, _IGNORED))
    if not names:
        raise TagsegError(f"{path}: no class in it; write a name a line, in the order of the labels")
    if what := class_names_fault(list(names)):
        raise TagsegError(f"{path}: {what}")
    places = [entry.name in BACKGROUNDS for entry in entries if entry.name != _IGNORED]
    first = True not in places[1:]
    if path.name != LABELMAP:
        if not first:
            line = [entry for entry in entries if entry.name in BACKGROUNDS][-1].line
            raise TagsegError(
                f"{path}:{line}: the background is label 0, but not the first line; put it first, or take it out"
            )
        return ClassNames(names, str(path))
    labels = list(given or names)
    return ClassNames(tuple(labels), "data.classes" if given else str(path), _colours(path, entries, labels), first)


def _entries(path: Path) -> list[_Entry]:
    coloured = path.name == LABELMAP
    entries = []
    for line, text in enumerate(read_utf8(path).splitlines(), start=1):
        name = text.strip()
        if not name or (coloured and name.startswith("#")):
            continue
        colour = None
        if coloured:
            name, colour = _parsed(f"{path}:{line}", name)
        folded = name.casefold()
        entries.append(_Entry(line, folded if folded in (*BACKGROUNDS, _IGNORED) else plain(name), colour))
    return entries


def _parsed(where: str, text: str) -> tuple[str, Colour | None]:
    """Name and colour of a line NAME:R,G,B:PARTS:ACTIONS; the name may contain colons."""
    parts = text.split(":")
    for i, part in enumerate(parts[1:], start=1):
        if found := _COLOUR.fullmatch(part):
            red, green, blue = (int(number) for number in found.groups())
            if max(red, green, blue) > 255:
                raise TagsegError(f"{where}: colour {part.strip()}; a colour is three numbers from 0 to 255")
            return ":".join(parts[:i]).strip(), (red, green, blue)
    if len(parts) > 1 and parts[1].strip():
        raise TagsegError(f"{where}: {parts[1].strip()!r} is not a colour; write NAME:R,G,B:: as in crack:250,50,83::")
    return parts[0].strip(), None


def _colours(path: Path, entries: list[_Entry], names: list[str]) -> dict[Colour, int]:
    """The label of each colour; a class without one has VOC's colour of its index, as in the annotation tools."""
    palette = voc_palette()
    shift = 0 if any(entry.name in BACKGROUNDS for entry in entries) else 1
    colours: dict[Colour, int] = {}
    taken: dict[Colour, str] = {}
    for place, entry in enumerate(entries, start=shift):
        red, green, blue = entry.colour or palette[min(place, IGNORE)].tolist()
        colour = (red, green, blue)
        if colour in taken:
            raise TagsegError(
                f"{path}:{entry.line}: {entry.name!r} has the colour of {taken[colour]!r}; give each its own"
            )
        taken[colour] = entry.name
        if entry.name in BACKGROUNDS:
            colours[colour] = 0
        elif entry.name == _IGNORED:
            colours[colour] = IGNORE
        elif entry.name in names:
            colours[colour] = names.index(entry.name) + 1
    # black is background and VOC's border is ignored, unless the file says otherwise
    for colour, label in (((0, 0, 0), 0), (_BORDER, IGNORE)):
        if colour not in taken:
            colours[colour] = label
    return colours
