"""Collect all faults of a data set, each with its file, line and remedy, instead of stopping at the first."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from tagseg.artifacts.atomic import write_text
from tagseg.config.names import nfc
from tagseg.datasets.index import csv_text
from tagseg.datasets.texts import encodable
from tagseg.errors import TagsegError
from tagseg.images.files import image_size
from tagseg.images.formats import reason_and_remedy

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Fault:
    """One fault: the file, the line (0: the whole file), and the image's id or name ('' if it is of no image)."""

    file: Path
    line: int
    image: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}{f':{self.line}' if self.line else ''}: {self.what}; {self.remedy}"


class Checks:
    """Takes the faults found while a data set is indexed, and knows which images to leave out.

    Args:
        collect: keep faults in `faults`, so that one run reports them all; otherwise the first is raised as a
            TagsegError.
        threads: how many photographs are checked at a time.
        leave_out: ids, or names as a table of tags writes them.

    Attributes:
        faults: the faults collected so far.
        left_out: ids of images that were left out.
        unnamed: photographs that no table names.
        unmatched: masks of no indexed photograph.
        unread: files that may be photographs but are in a format that is not read.
    """

    def __init__(self, collect: bool = False, threads: int = 1, leave_out: Iterable[str] = ()):
        self.faults: list[Fault] = []
        self.left_out: list[str] = []
        self.unnamed: list[Path] = []
        self.unmatched: list[Path] = []
        self.unread: list[str] = []
        self._collect = collect
        self._threads = threads
        self._leave_out = {nfc(name): name for name in leave_out}  # as ids are
        self._met: set[str] = set()

    def add(self, fault: Fault) -> None:
        """Keep a fault, or raise it as a TagsegError."""
        if not self._collect:
            raise TagsegError(str(fault))
        self.faults.append(fault)

    @contextmanager
    def of(self, image: str) -> Iterator[None]:
        """Turn a TagsegError raised in this context into a fault of `image`."""
        try:
            yield
        except TagsegError as error:
            if not self._collect:
                raise
            self.faults.append(_parsed(str(error), image))

    def sizes(self, photographs: Mapping[str, Path]) -> dict[str, tuple[int, int]]:
        """(width, height) in pixels of each photograph, by id. Each is decoded; broken ones are faults and left out."""
        return self.apply(photographs, image_size)

    def apply(self, items: Mapping[str, T], check: Callable[[T], R], unit: str = "image") -> dict[str, R]:
        """Results of `check` for each item, by id, on all threads; a TagsegError is a fault, and its item left out."""

        def safely(item: T) -> R | TagsegError:
            try:
                return check(item)
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
        """Whether to leave an image out, by its id or another of its names."""
        met = self._leave_out.keys() & {nfc(name) for name in (image_id, *names)}
        if met and image_id not in self.left_out:
            self.left_out.append(image_id)
        self._met |= met
        return bool(met)

    def unknown_left_out(self) -> list[str]:
        """Names in `leave_out` that no image had: misspelt ones, perhaps."""
        return sorted(name for key, name in self._leave_out.items() if key not in self._met)


def _parsed(text: str, image: str) -> Fault:
    """Parse `FILE[:LINE]: what is wrong; what to do`, the format of every TagsegError here."""
    place, _, rest = text.partition(": ")
    what, _, remedy = rest.partition("; ")
    file, _, line = place.rpartition(":")
    numbered = bool(file) and line.isdigit()
    return Fault(Path(file if numbered else place), int(line) if numbered else 0, image, what, remedy)


def write_report(path: Path, checks: Checks) -> None:
    """Write all findings as CSV, one per row: faults, and images left out, not named or not read."""
    rows: list[list[object]] = [["fault", f.image, f.file, f.line or "", f.what, f.remedy] for f in checks.faults]
    rows += [["left out", image, "", "", "named in data.leave_out", ""] for image in checks.left_out]
    rows += [["not used", "", file, "", "no table names it", "add a row, if it is wanted"] for file in checks.unnamed]
    what = "a mask of no photograph that is indexed", "call it as its photograph, if it is wanted"
    rows += [["not used", "", file, "", *what] for file in checks.unmatched]
    rows += [["not read", "", file, "", *reason_and_remedy(file)] for file in checks.unread]
    write_text(path, encodable(csv_text(["status", "image", "file", "line", "what", "remedy"], rows)))
