"""Read rows of CSV and TSV as spreadsheets and people write them, with the separator found from the header."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from tagseg.datasets.checks import Fault
from tagseg.datasets.table_columns import Cell, fits, headings
from tagseg.errors import TagsegError
from tagseg.images.formats import is_photograph

_SEPARATORS = (",", "\t", ";", "|")
_SAID = re.compile(r'\s*"?sep=(\\t|.)"?[,; \t]*(\r\n|\r|\n|$)', re.IGNORECASE)  # Excel's own first line
_Rows = Iterator[tuple[int, list[str]]]


def text_rows(path: Path, text: str, faults: list[Fault]) -> Iterator[tuple[int, list[Cell]]]:
    """Line number and cells of each row that is not empty, the header first; malformed CSV goes to `faults`.

    The separator is the one that a first line such as `sep=;` states, or else the one of `,`, tab, `;` and `|` that
    gives a header with the columns that a table of tags needs. Rows may be quoted as a whole. Raises TagsegError for a
    page of HTML.
    """
    if text.lstrip()[:1] == "<":
        raise TagsegError(f"{path}:1: a page of HTML or XML, no table; save it as CSV (UTF-8)")
    said = _SAID.match(text)
    given = {"\\t": "\t"}.get(said[1], said[1]) if said else ""
    body, before = (text[said.end() :], 1) if said else (text, 0)
    for whole in (False, True):
        for separator in [given] if given else _SEPARATORS:
            if fits(_header(body, separator, whole)):
                yield from _shifted(_filled(body, separator, whole, path, faults), before)
                return
    yield from _shifted(_filled(body, given or ",", False, path, faults), before)


def separator_hint(header: list[Cell]) -> str:
    """A hint on a header that lacks columns because one of its cells holds several; '' if none does."""
    joined = [name for name in headings(header) if "image" in name and "tags" in name]
    return f"; {joined[0]!r} is one cell: separate columns by ',', ';' or a tab" if joined else ""


def _filled(text: str, separator: str, whole: bool, path: Path, faults: list[Fault]) -> _Rows:
    """Rows that are not empty. `whole`: each row is one quoted cell."""
    outer = "," if whole else separator
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=outer, skipinitialspace=True)
    try:
        for cells in reader:
            if whole:
                inner = ",".join(cells).rstrip(",")  # a row that is not quoted may hold commas
                cells = next(csv.reader([inner], delimiter=separator, skipinitialspace=True), [])
            row = _swallowed(cells, separator)
            if row:
                what = f"a quote that swallows the row {row!r}"
                faults.append(Fault(path, reader.line_num, "", what, "close or drop the quote"))
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        faults.append(
            Fault(path, reader.line_num, "", f"not CSV from here on ({error})", "close the quote, or save anew")
        )


def _swallowed(cells: list[str], separator: str) -> str:
    """A line within a cell that looks like a row of its own, with a photograph in it; '' if there is none."""
    lines = [line.strip() for cell in cells for line in cell.splitlines()[1:]]
    rows = [line for line in lines if any(is_photograph(part.strip(' "')) for part in line.split(separator)[:-1])]
    return rows[0] if rows else ""


def _header(text: str, separator: str, whole: bool) -> list[str]:
    _, cells = next(_filled(text, separator, whole, Path(), []), (1, []))
    return cells


def _shifted(rows: _Rows, lines: int) -> Iterator[tuple[int, list[Cell]]]:
    for line, cells in rows:
        yield line + lines, list(cells)
