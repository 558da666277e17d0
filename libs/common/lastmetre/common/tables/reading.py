"""A table that people hand in, CSV or XLSX, row by row or the whole of it at once."""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, cast

from lastmetre.common.tables.csv_rows import RawRow, read_csv
from lastmetre.common.tables.header import Columns, Header
from lastmetre.common.tables.problems import TableError, Unreadable
from lastmetre.common.tables.xlsx_rows import read_xlsx

UTF8: Final = "utf-8-sig"
"""With or without a byte order mark."""
READ_BYTES: Final = 1 << 20
ZIP: Final = b"PK\x03\x04"
OLE: Final = b"\xd0\xcf\x11\xe0"
"""What XLSX and Excel's files before 2007 begin with."""
SAVE_AS_UTF8: Final = "save it as CSV in UTF-8 (Excel: Save as, CSV UTF-8)."
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

Cells = Mapping[str, str]

# What cannot be decoded must not end the file: it stays visible as a lone surrogate. Python's own
# handler for that fails where a code unit has two bytes.
UNDECODABLE: Final = "lastmetre.undecodable"
codecs.register_error(UNDECODABLE, lambda error: ("\udcff", cast("UnicodeDecodeError", error).end))


class Row(NamedTuple):
    """A row: the line where it begins, its cells by column, and what keeps it from being used."""

    line: int
    cells: Cells
    problem: str | None = None


def _any_row(_: Cells) -> bool:
    return True


@dataclass(frozen=True)
class Layout:
    """How a table is written. `is_row`: whether cells, as many as the header has, are a row's;
    `time_format` is what a workbook's times become."""

    columns: Columns
    encoding: str = UTF8
    delimiter: str = ","
    time_format: str = "%Y-%m-%d %H:%M:%S"
    is_row: Callable[[Cells], bool] = _any_row


def is_workbook(path: Path) -> bool:
    """Whether it is XLSX, whatever its name."""
    with path.open("rb") as file:
        return file.read(len(ZIP)) == ZIP


def rows_at_most(path: Path) -> int | None:
    """At least as many as there are rows, where that is quickly counted: for a progress bar."""
    if is_workbook(path):
        return None
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(READ_BYTES), b"")) + 1


def read_rows(path: Path, layout: Layout) -> Iterator[Row]:
    """The rows that are not empty, never all of them in memory. A bad one ends nothing.

    Raises TableError if the header does not fit or the file is of another kind.
    """
    if is_workbook(path):
        raw = read_xlsx(path, layout.time_format)
        yield from _rows(raw, _header(raw, path, layout))
        return
    try:
        utf8 = codecs.lookup(layout.encoding).name in ("utf-8", UTF8)
        encoding = UTF8 if utf8 else layout.encoding
        file = path.open(encoding=encoding, errors=UNDECODABLE, newline="")
    except LookupError as error:
        raise Unreadable(str(path), [f"no such encoding: {layout.encoding}"]) from error
    with file:
        _refuse_other_kinds(path, encoding)
        header: Header | None = None

        def is_row(cells: Sequence[str]) -> bool:
            if header is None or _problem(header, cells):
                return False
            return layout.is_row(header.named(cells))

        raw = read_csv(file, layout.delimiter, is_row)
        header = _header(raw, path, layout)
        yield from _rows(raw, header)


def _refuse_other_kinds(path: Path, encoding: str) -> None:
    with path.open("rb") as file:
        begins = file.read(4)
    if begins == OLE:
        raise Unreadable(
            str(path), ["is an Excel file with a password or of the kind before 2007"],
            "save it as XLSX without a password, or as CSV in UTF-8.",
        )  # fmt: skip
    wide = begins.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if wide and encoding == UTF8:
        raise Unreadable(str(path), ["is written in UTF-16, not in UTF-8"], SAVE_AS_UTF8)


def _header(raw: Iterator[RawRow], path: Path, layout: Layout) -> Header:
    first = next((row for row in raw if row.problem or _filled(row.cells)), RawRow(1, ()))
    if first.problem:
        raise TableError(str(path), [f"line {first.line}: {first.problem}"])
    if any(map(_wrong_letter, first.cells)):
        raise Unreadable(
            str(path), [f"line {first.line} is not text in {layout.encoding}"], SAVE_AS_UTF8
        )
    return Header(first.cells, layout.columns, str(path))


def _filled(cells: Iterable[str]) -> bool:
    return any(cell.strip() for cell in cells)


def _rows(raw: Iterator[RawRow], header: Header) -> Iterator[Row]:
    for row in raw:
        if row.problem or _filled(row.cells):
            problem = row.problem or _problem(header, row.cells)
            if problem and row.lines > 1:
                problem += f" (lines {row.line} to {row.line + row.lines - 1})"
            yield Row(row.line, header.named(row.cells), problem)


def _problem(header: Header, cells: Sequence[str]) -> str | None:
    """What keeps cells from being a row's."""
    for place, cell in enumerate(cells):
        if wrong := _wrong_letter(cell):
            return f"{header.name(place)}: {wrong}"
    count = len(cells)
    while count > header.width and not cells[count - 1].strip():
        count -= 1
    if count != header.width:
        return f"{count} cells where the header has {header.width}"
    for place in header.nameless:
        if cells[place].strip():
            return f"column {place + 1} has no name and holds {cells[place].strip()!r}"
    return None


def _wrong_letter(cell: str) -> str | None:
    if "\0" in cell:
        return "holds the letter NUL"
    if not cell.isascii() and any("\ud800" <= letter <= "\udfff" for letter in cell):
        return "is not in the file's encoding"
    return None


def read_table(path: Path, columns: Columns) -> "Table":
    """A file that configures the platform: CSV in UTF-8 or XLSX. Raises TableError if its header
    does not fit or it is of another kind; what is wrong with its rows is among the problems."""
    if not is_workbook(path):
        _refuse_other_encodings(path)
    table = Table(path)
    for row in read_rows(path, Layout(columns)):
        cells = {name: " ".join(cell.split()) for name, cell in row.cells.items()}
        control = next((name for name, cell in cells.items() if _CONTROL.search(cell)), None)
        if row.problem:
            table.refuse(row, row.problem)
        elif control:
            table.refuse(row, f"{control}: holds a control character")
        else:
            table.rows.append(Row(row.line, cells))
    return table


def _refuse_other_encodings(path: Path) -> None:
    held = path.read_bytes()
    _refuse_other_kinds(path, UTF8)
    try:
        held.decode(UTF8)
    except UnicodeDecodeError as error:
        line = held.count(b"\n", 0, error.start) + 1
        chinese = " but seems to be GB 18030 (GBK)" if _decodes(held, "gb18030") else ""
        raise Unreadable(str(path), [f"line {line} is not UTF-8{chinese}"], SAVE_AS_UTF8) from error


def _decodes(held: bytes, encoding: str) -> bool:
    try:
        held.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


class Table:
    """The rows of a small table that can be used, each cell one line, and what is wrong with the
    others. Whoever takes values from the rows adds what is wrong with those."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Row] = []
        self._refused: list[tuple[int, str]] = []

    @property
    def problems(self) -> list[str]:
        """All of them, in the order of their lines."""
        return [f"line {line}: {reason}" for line, reason in sorted(self._refused)]

    def refuse(self, row: Row, reason: str) -> None:
        """This row cannot be used."""
        self._refused.append((row.line, reason))

    def check(self) -> None:
        """Raises TableError with all problems, if there are any: nothing of it is taken."""
        if self._refused:
            raise TableError(str(self.path), self.problems)
