"""What is wrong with a data set, collected: every fault by file and line, with its remedy, not only the first."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from tagseg.datasets.images import image_size
from tagseg.errors import TagsegError


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
    writes them; `left_out` the ids of those that were met. `unnamed` are photographs that no table names: no fault, but
    to be told.
    """

    def __init__(self, collect: bool = False, threads: int = 1, leave_out: Iterable[str] = ()):
        self.faults: list[Fault] = []
        self.left_out: list[str] = []
        self.unnamed: list[Path] = []
        self._collect = collect
        self._threads = threads
        self._leave_out = set(leave_out)
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

        def look(path: Path) -> tuple[int, int] | TagsegError:
            try:
                return image_size(path)
            except TagsegError as error:
                return error

        sizes = {}
        with ThreadPoolExecutor(self._threads) as pool:
            found = pool.map(look, photographs.values())
            for image, size in tqdm(zip(photographs, found, strict=True), total=len(photographs), disable=None):
                with self.of(image):
                    if isinstance(size, TagsegError):
                        raise size
                    sizes[image] = size
        return sizes

    def leaves_out(self, image_id: str, *names: str) -> bool:
        """Whether an image is to be left out, by its id or another of its names; it is noted as met."""
        met = {image_id, *names} & self._leave_out
        if met and image_id not in self.left_out:
            self.left_out.append(image_id)
        self._met |= met
        return bool(met)

    def not_met(self) -> list[str]:
        """What is to be left out and was never there: a misspelt name, perhaps."""
        return sorted(self._leave_out - self._met)


def _parsed(text: str, image: str) -> Fault:
    """The parts of `FILE[:LINE]: what is wrong; what to do`, the form of every error here."""
    place, _, rest = text.partition(": ")
    what, _, remedy = rest.partition("; ")
    file, _, line = place.rpartition(":")
    numbered = bool(file) and line.isdigit()
    return Fault(Path(file if numbered else place), int(line) if numbered else 0, image, what, remedy)
