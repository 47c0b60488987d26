"""What is wrong with a data set, collected: every fault by file and line, with its remedy, not only the first."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from tagseg.artifacts.atomic import write_text
from tagseg.datasets.index import csv_text
from tagseg.errors import TagsegError
from tagseg.images.files import image_size
from tagseg.images.formats import reason_and_remedy

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: the file, its line (0: the whole file), the image's id or name if it is of one."""

    file: Path
    line: int
    image: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}{f':{self.line}' if self.line else ''}: {self.what}; {self.remedy}"


class Checks:
    """Takes the faults that are found while a data set is indexed, and says which images are to be left out.

    Collecting, it keeps them in `faults`, so that one look at a data set tells all that is wrong. Not collecting, it
    raises the first as a TagsegError. `threads` look at photographs. `leave_out` are ids, or names as a table of tags
    writes them; `left_out` the ids of those that were met. `unnamed` are photographs that no table names, `unmatched`
    masks that are of no photograph of the index, `unread` files that may be photographs and are of a form that is not
    read: no faults, but to be told.
    """

    def __init__(self, collect: bool = False, threads: int = 1, leave_out: Iterable[str] = ()):
        self.faults: list[Fault] = []
        self.left_out: list[str] = []
        self.unnamed: list[Path] = []
        self.unmatched: list[Path] = []
        self.unread: list[str] = []
        self._collect = collect
        self._threads = threads
        self._leave_out = {unicodedata.normalize("NFC", name): name for name in leave_out}  # as ids are
        self._met: set[str] = set()

    def add(self, fault: Fault) -> None:
        """Keep a fault, or raise it."""
        if not self._collect:
            raise TagsegError(str(fault))
        self.faults.append(fault)

    @contextmanager
    def of(self, image: str) -> Iterator[None]:
        """A TagsegError of this block is a fault of `image`."""
        try:
            yield
        except TagsegError as error:
            if not self._collect:
                raise
            self.faults.append(_parsed(str(error), image))

    def sizes(self, photographs: Mapping[str, Path]) -> dict[str, tuple[int, int]]:
        """Width and height of each photograph, by id. Every one is decoded; a broken one is a fault, and not there."""
        return self.looked_at(photographs, image_size)

    def looked_at(self, items: Mapping[str, T], look: Callable[[T], R], unit: str = "image") -> dict[str, R]:
        """What `look` finds of each item, by id, on all threads; what it raises is a fault, and the item not there."""

        def safely(item: T) -> R | TagsegError:
            try:
                return look(item)
            except TagsegError as error:
                return error

        results = {}
        with ThreadPoolExecutor(self._threads) as pool:
            found = pool.map(safely, items.values())
            pairs = zip(items, found, strict=True)
            for image, result in tqdm(pairs, total=len(items), unit=unit, disable=None):
                with self.of(image):
                    if isinstance(result, TagsegError):
                        raise result
                    results[image] = result
        return results

    def leaves_out(self, image_id: str, *names: str) -> bool:
        """Whether an image is to be left out, by its id or another of its names; it is noted as met."""
        met = self._leave_out.keys() & {unicodedata.normalize("NFC", name) for name in (image_id, *names)}
        if met and image_id not in self.left_out:
            self.left_out.append(image_id)
        self._met |= met
        return bool(met)

    def not_met(self) -> list[str]:
        """What is to be left out and was never there: a misspelt name, perhaps."""
        return sorted(name for key, name in self._leave_out.items() if key not in self._met)


def _parsed(text: str, image: str) -> Fault:
    """The parts of `FILE[:LINE]: what is wrong; what to do`, the form of every error here."""
    place, _, rest = text.partition(": ")
    what, _, remedy = rest.partition("; ")
    file, _, line = place.rpartition(":")
    numbered = bool(file) and line.isdigit()
    return Fault(Path(file if numbered else place), int(line) if numbered else 0, image, what, remedy)


def write_report(path: Path, checks: Checks) -> None:
    """Write all that a look at a data set found as CSV, one thing a row: wrong, left out, not named, not read."""
    rows: list[list[object]] = [["fault", f.image, f.file, f.line or "", f.what, f.remedy] for f in checks.faults]
    rows += [["left out", image, "", "", "named in data.leave_out", ""] for image in checks.left_out]
    rows += [["not used", "", file, "", "no table names it", "add a row, if it is wanted"] for file in checks.unnamed]
    what = "a mask of no photograph that is indexed", "call it as its photograph, if it is wanted"
    rows += [["not used", "", file, "", *what] for file in checks.unmatched]
    rows += [["not read", "", file, "", *reason_and_remedy(file)] for file in checks.unread]
    text = csv_text(["status", "image", "file", "line", "what", "remedy"], rows)
    # a file's name may be in any encoding
    write_text(path, text.encode("utf-8", "backslashreplace").decode())
