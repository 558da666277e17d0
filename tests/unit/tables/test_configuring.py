"""A table that configures the platform: all that is wrong is told at once."""

from pathlib import Path

import pytest

from lastmetre.common.tables.header import Columns
from lastmetre.common.tables.problems import TableError
from lastmetre.common.tables.reading import Row, read_table

COLUMNS = Columns(("code", ("zh", "en")))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def test_cells_are_one_line(file: Path) -> None:
    file.write_text('code,en\n a ,"Bai\nYun\u2028\x0b"\n', "utf-8")
    assert read_table(file, COLUMNS).rows == [Row(2, {"code": "a", "en": "Bai Yun"})]


def test_everything_is_told_at_once(file: Path) -> None:
    file.write_text('code,en\na,b,c\nd\ne,"f\ng,h\x07\ni,j\n', "utf-8")
    table = read_table(file, COLUMNS)
    assert [row.cells["code"] for row in table.rows] == ["i"]
    with pytest.raises(TableError) as refused:
        table.check()
    assert refused.value.problems == [
        "line 2: 3 cells where the header has 2",
        "line 3: 1 cells where the header has 2",
        "line 4: a quote opened in line 4 is never closed",
        "line 5: en: holds a control character",
    ]


def test_another_encoding_is_named_with_the_way_out(file: Path) -> None:
    file.write_text("code,zh\na,路灯\n", "gb18030")
    with pytest.raises(TableError, match=r"line 2 is not UTF-8 but seems to be GB 18030") as told:
        read_table(file, COLUMNS)
    assert "CSV UTF-8" in told.value.way_out
