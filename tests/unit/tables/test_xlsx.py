"""Workbooks are read as the texts that a person would have typed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from openpyxl import Workbook

from lastmetre.cli.importing.reports import prepare
from lastmetre.cli.importing.rows import layout_of
from lastmetre.common.mapping.engine import Reader
from lastmetre.common.mapping.model import TableMapping
from lastmetre.common.tables.header import Columns
from lastmetre.common.tables.problems import TableError
from lastmetre.common.tables.reading import Row, read_rows, read_table, rows_at_most

COLUMNS = Columns(("id", "phone"), ("note",))


def written(folder: Path, *rows: list[Any]) -> Path:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    path = folder / "table.xlsx"
    book.save(path)
    return path


def test_numbers_are_what_was_typed_and_empty_rows_are_nothing(tmp_path: Path) -> None:
    path = written(
        tmp_path, [" ID ", "Phone", "note"], [1, 19900000101, None], [None, None, None],
        [2.0, " 010 ", True], ["a", 1.5], [],
    )  # fmt: skip
    assert read_table(path, COLUMNS).rows == [
        Row(2, {"id": "1", "phone": "19900000101", "note": ""}),
        Row(4, {"id": "2", "phone": "010", "note": "TRUE"}),
        Row(5, {"id": "a", "phone": "1.5", "note": ""}),
    ]
    assert rows_at_most(path) is None


def test_what_has_no_value_of_its_own_is_told_by_cell(tmp_path: Path) -> None:
    path = written(
        tmp_path, ["id", "phone"], [1, "=A1"], [2, 1234567890123456], [3, "#N/A"], [4, "x", "y"]
    )
    table = read_table(path, COLUMNS)
    assert table.rows == []
    assert table.problems == [
        "line 2: column 2: is a formula; put its value in its place",
        "line 3: column 2: is a number of more than 15 digits; format the cell as text",
        "line 4: column 2: is the error #N/A",
        "line 5: 3 cells where the header has 2",
    ]


def test_two_sheets_with_data_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.xlsx"
    book = Workbook()
    book.active.append(["id", "phone"])
    book.create_sheet("empty")
    book.create_sheet("old").append(["id"])
    book.save(path)
    with pytest.raises(TableError, match="several sheets hold data: Sheet, old"):
        read_table(path, COLUMNS)


@pytest.mark.parametrize("sheet", [None, "<worksheet><sheetData><row><c r='A1'><v>1</v>", "<a/>"])
def test_what_is_broken_is_no_workbook(tmp_path: Path, sheet: str | None) -> None:
    with (
        ZipFile(written(tmp_path, ["id", "phone"])) as whole,
        ZipFile(tmp_path / "broken.xlsx", "w") as broken,
    ):
        for name in whole.namelist():
            if not name.endswith("sheet1.xml"):
                broken.writestr(name, whole.read(name))
            elif sheet:
                broken.writestr(name, sheet)
    path = tmp_path / "broken.xlsx"
    with pytest.raises(TableError, match=r"no workbook that can be read|no column id, phone"):
        read_table(path, COLUMNS)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(TableError, match="is no workbook that can be read"):
        read_table(path, COLUMNS)


def test_a_workbook_is_known_by_what_it_holds(tmp_path: Path) -> None:
    path = written(tmp_path, ["id", "phone"], [1, 2]).rename(tmp_path / "leads.csv")
    assert read_table(path, COLUMNS).rows == [Row(2, {"id": "1", "phone": "2"})]


def test_a_report_out_of_a_workbook(tmp_path: Path) -> None:
    mapping = TableMapping.model_validate(
        {"times": {"zone": "Asia/Shanghai", "format": "%m/%d/%Y %I:%M:%S %p"},
         "source_id": "id", "reported_at": "when", "channel": "app", "text": "text"}
    )  # fmt: skip
    reader = Reader(mapping, "m/1/0")
    typed = datetime(2026, 3, 1, 20, 0, 5)  # noqa: DTZ001 a workbook has no zones
    path = written(tmp_path, ["id", "when", "text"], [7, typed, "路灯不亮"])
    (row,) = read_rows(path, layout_of(reader, mapping))
    report = prepare(row, reader, live=False).report
    assert (report.source_id, report.text) == ("7", "路灯不亮")
    assert report.reported_at == datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
