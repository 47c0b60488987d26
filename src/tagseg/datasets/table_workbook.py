"""Read rows of Excel workbooks, and recognise the table files of other programs by their content."""

import io
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from tagseg.datasets.table_columns import Cell, Unread, fits, places
from tagseg.errors import TagsegError, one_line

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SAVE = "save it as CSV (UTF-8) or as .xlsx"


def is_workbook(path: Path, content: bytes) -> bool:
    """Whether a file is an Excel workbook (.xlsx) by its content, whatever its name.

    Raises TagsegError for other programs' table files, and for workbooks that cannot be read.
    """
    if content.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in content:
            raise TagsegError(f"{path}: a workbook with a password; save it without one")
        raise TagsegError(f"{path}: an old Excel workbook (.xls), which is not read; {_SAVE}")
    if not content.startswith(_ZIP):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = set(archive.namelist())
            kind = archive.read("mimetype").decode("ascii", "replace") if "mimetype" in names else ""
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise TagsegError(f"{path}: a workbook that is cut short or damaged ({error}); {_SAVE} again") from None
    if "xl/workbook.bin" in names:
        what = "a binary Excel workbook (.xlsb)"
    elif any(name.startswith("xl/") for name in names):
        return True
    elif "opendocument" in kind:
        what = "an OpenDocument table (.ods)"
    elif any(name.startswith("Index/") or name == "Index.zip" for name in names):
        what = "a table of Apple Numbers"
    else:
        what = "a zip archive"
    raise TagsegError(f"{path}: {what}, which is not read; {_SAVE}")


def workbook_rows(path: Path, content: bytes) -> Iterator[tuple[int, list[Cell]]]:
    """Line number and cells of each row that is not empty, the header first, of the one sheet that has the columns.

    Whole numbers are written as such (7.0 as 7); formulas have the values that they had when the workbook was saved.
    Raises TagsegError if no sheet has the columns of a table of tags, or if several do.
    """
    sheets = {name: rows for name, rows in _sheets(path, content).items() if rows}
    fitting = [name for name, rows in sheets.items() if fits(rows[0][1])]
    if len(fitting) > 1:
        raise TagsegError(f"{path}: sheets {', '.join(fitting)} all have columns image,tags; keep the one that counts")
    if not fitting:
        name, rows = next(iter(sheets.items()), ("", [(1, [])]))
        more = f"; none of {len(sheets)} sheets has them" if len(sheets) > 1 else ""
        places(path, rows[0][0], rows[0][1], more)
        raise AssertionError(name)  # places raises: the header does not fit
    yield from sheets[fitting[0]]


def _sheets(path: Path, content: bytes) -> dict[str, list[tuple[int, list[Cell]]]]:
    """The rows of each sheet, by its name, that are not empty."""
    from openpyxl import load_workbook  # here: few tables are workbooks

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about drawings and drop-down lists
            written = load_workbook(io.BytesIO(content))
            values = load_workbook(io.BytesIO(content), data_only=True)
    except Exception as error:  # openpyxl raises any type for a damaged file
        raise TagsegError(f"{path}: not a readable workbook ({one_line(error)}); {_SAVE} again") from None
    sheets = {}
    for sheet, cached in zip(written.worksheets, values.worksheets, strict=True):
        joined = {place for area in sheet.merged_cells.ranges for place in list(area.cells)[1:]}
        rows = []
        for line, (cells, known) in enumerate(zip(sheet.iter_rows(), cached.iter_rows(), strict=True), 1):
            row = [
                Unread("a cell that is merged with another", "unmerge the cells, and fill in each")
                if (cell.row, cell.column) in joined
                else _cell(cell.data_type, value.value, value.data_type, value.number_format)
                for cell, value in zip(cells, known, strict=True)
            ]
            if any(isinstance(cell, Unread) or cell.strip() for cell in row):
                rows.append((line, row))
        sheets[sheet.title] = rows
    return sheets


def _cell(written_as: str, value: Any, kind: str, form: str) -> Cell:
    """A cell's text; `written_as` and `kind` are openpyxl's types of what was typed and of what it shows.

    `form` is the number format: by `000`, 7 shows as 007.
    """
    if value is None:
        if written_as == "f":
            return Unread("a formula without a result", "open the workbook in a spreadsheet program and save it there")
        return ""
    if kind == "e":
        return Unread(f"a cell shows the error {value}", "correct it")
    if isinstance(value, datetime | date | time | timedelta):
        return Unread(
            f"a cell was taken for a date ({value})", "set the column's format to text, and write the cell anew"
        )
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and form.strip("0") == "":
        return f"{value:0{len(form)}d}"
    return str(value)
