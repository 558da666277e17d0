"""Rows of an Excel workbook, as the texts that a person would have typed."""

import warnings
import zlib
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

from lastmetre.common.tables.csv_rows import RawRow
from lastmetre.common.tables.problems import TableError, Unreadable

EXACT_BELOW: Final = 10**15
"""Excel keeps 15 digits of a number; a longer phone or id has lost its end."""


def read_xlsx(path: Path, time_format: str) -> Iterator[RawRow]:
    """All rows of the one sheet that holds any; times in cells as `time_format`.

    Raises Unreadable.
    """
    # Takes a tenth of a second to import, and few tables are workbooks.
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    unreadable = (
        ArithmeticError, BadZipFile, EOFError, InvalidFileException, LookupError, OSError,
        ParseError, TypeError, ValueError, zlib.error,
    )  # fmt: skip
    # As a file, for by a path it must end in .xlsx.
    with path.open("rb") as file, warnings.catch_warnings():
        # About drop-down lists and the like, which mean nothing here.
        warnings.simplefilter("ignore", UserWarning)
        try:
            book = load_workbook(file, read_only=True)
            for sheet in _filled(path, book):
                yield from _rows(sheet, time_format)
        except TableError:
            raise
        except unreadable as error:
            raise Unreadable(
                str(path), [f"is no workbook that can be read: {error}"],
                "save it as XLSX or as CSV in UTF-8 once more.",
            ) from error  # fmt: skip


def _filled(path: Path, book: Any) -> list[Any]:
    """The sheet that holds anything, if there is one."""
    filled = [
        sheet
        for sheet in book.worksheets
        if any(cell.value is not None for row in sheet.iter_rows() for cell in row)
    ]
    if len(filled) > 1:
        raise Unreadable(
            str(path), [f"several sheets hold data: {', '.join(each.title for each in filled)}"],
            "leave the one that is meant.",
        )  # fmt: skip
    return filled


def _rows(sheet: Any, time_format: str) -> Iterator[RawRow]:
    # A workbook may state a size that is not its own.
    sheet.reset_dimensions()
    width = 0
    for line, row in enumerate(sheet.iter_rows(), start=1):
        cells, problem = [], None
        for place, cell in enumerate(row, start=1):
            try:
                cells.append(_text(cell, time_format))
            except ValueError as error:
                cells.append("")
                problem = problem or f"column {place}: {error}"
        width = max(width, len(cells))
        # Cells that a row does not go on to are empty.
        yield RawRow(line, [*cells, *[""] * (width - len(cells))], problem)


def _text(cell: Any, time_format: str) -> str:
    """Raises ValueError."""
    value = cell.value
    match value:
        case None:
            return ""
        case _ if cell.data_type == "f":
            raise ValueError("is a formula; put its value in its place")
        case _ if cell.data_type == "e":
            raise ValueError(f"is the error {value}")
        case bool():
            return str(value).upper()
        case int() | float() if abs(value) >= EXACT_BELOW:
            raise ValueError("is a number of more than 15 digits; format the cell as text")
        case float() if value.is_integer():
            return str(int(value))
        case datetime():
            return value.strftime(time_format)
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)
