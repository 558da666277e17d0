"""CSV that people hand in: no row swallows those behind it, and each problem is told by line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastmetre.common.tables.csv_rows import MOST_LINES, read_csv
from lastmetre.common.tables.header import Columns
from lastmetre.common.tables.problems import TableError
from lastmetre.common.tables.reading import Layout, Row, read_rows

LAYOUT = Layout(
    Columns(("id", "when", "text"), others=True), is_row=lambda cells: cells["when"].isdigit()
)


def rows(folder: Path, text: str | bytes, layout: Layout = LAYOUT) -> list[Row]:
    file = folder / "table.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_rows(file, layout))


def taken(found: list[Row]) -> dict[str, str]:
    return {row.cells["id"]: row.cells["text"] for row in found if row.problem is None}


def told(found: list[Row]) -> dict[int, str]:
    return {row.line: row.problem for row in found if row.problem}


def test_finding_4_an_unclosed_quote_costs_its_own_row_only(tmp_path: Path) -> None:
    found = rows(tmp_path, 'id,when,text\n1,1,"lamp broken\n2,2,pothole\n3,3,graffiti\n')
    assert told(found) == {2: "a quote opened in line 2 is never closed"}
    assert taken(found) == {"2": "pothole", "3": "graffiti"}


def test_finding_4_a_quote_that_the_next_one_seems_to_close(tmp_path: Path) -> None:
    found = rows(tmp_path, 'id,when,text\n1,1,"lamp\n2,2,"pothole, deep"\n3,3,"a ""big"" one"\n')
    assert list(told(found)) == [2]
    assert "the quote was opened in line 2" in told(found)[2]
    assert taken(found) == {"2": "pothole, deep", "3": 'a "big" one'}


def test_finding_4_a_cell_that_fits_but_goes_over_a_row(tmp_path: Path) -> None:
    found = rows(tmp_path, 'id,when,text\n1,1,"lamp\n2,2,pothole\n3,3,graffiti"\n4,4,x\n')
    assert told(found) == {
        2: "a quote opened in line 2 goes over line 3, which is a row of its own"
    }
    assert taken(found) == {"2": "pothole", "3": 'graffiti"', "4": "x"}


def test_finding_4_five_thousand_rows_and_one_stray_quote(tmp_path: Path) -> None:
    lines = [f"{n},{n},words about {n}\n" for n in range(5000)]
    lines[100] = '100,100,"words\n'
    found = rows(tmp_path, "id,when,text\n" + "".join(lines))
    assert told(found) == {
        102: f"a quote opened in line 102 is not closed within {MOST_LINES} lines"
    }
    assert len(taken(found)) == 4999


def test_finding_4_the_line_where_the_quote_began_not_the_row(tmp_path: Path) -> None:
    found = rows(tmp_path, 'id,when,text\n1,"1\n",x\n"2\n3",2,"open\nend\n')
    assert told(found)[4] == "a quote opened in line 5 is never closed"


def test_line_breaks_in_a_quoted_cell_are_its_own(tmp_path: Path) -> None:
    found = rows(tmp_path, 'id,when,text\r\n1,1,"first, and\r\nsecond, too"\r\n2,2,x\r\n')
    assert taken(found) == {"1": "first, and\r\nsecond, too", "2": "x"}
    assert [row.line for row in found] == [2, 4]


def test_finding_5_too_many_cells_are_told_with_all_lines(tmp_path: Path) -> None:
    found = rows(tmp_path, 'id,when,text\n1,1,"a\nb",c\n2,2\n')
    assert told(found) == {
        2: "4 cells where the header has 3 (lines 2 to 3)",
        4: "2 cells where the header has 3",
    }


def test_finding_25_what_excel_leaves_behind_is_nothing(tmp_path: Path) -> None:
    assert taken(rows(tmp_path, "id,when,text\n1,1,x,,\n,,,,\n\n ,,\n2,2,y\n")) == {
        "1": "x",
        "2": "y",
    }
    assert taken(rows(tmp_path, "\n,,\nid,when,text,,\n1,1,x,,\n2,2,y\n")) == {"1": "x", "2": "y"}


def test_a_cell_under_no_name_is_told(tmp_path: Path) -> None:
    found = rows(tmp_path, "id,,when,text\n1,,1,x\n2,oh,2,y\n")
    assert told(found) == {3: "column 2 has no name and holds 'oh'"}


def test_headers_are_trimmed_and_compared_without_case(tmp_path: Path) -> None:
    assert taken(rows(tmp_path, "\ufeff ID , When,TEXT\n1,1,x\n")) == {"1": "x"}


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_a_quoted_header(tmp_path: Path, encoding: str) -> None:
    held = '"id",when,text\n1,1,x\n'.encode("utf-16" if "16" in encoding else "utf-8-sig")
    assert taken(rows(tmp_path, held, Layout(LAYOUT.columns, encoding=encoding))) == {"1": "x"}


@pytest.mark.parametrize("encoding", ["latin-9000", "rot13"])
def test_an_encoding_that_is_none_is_named(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(TableError, match=f"no such encoding: {encoding}"):
        rows(tmp_path, "id,when,text\n", Layout(LAYOUT.columns, encoding=encoding))


@pytest.mark.parametrize(
    ("header", "columns", "words"),
    [
        ("id,text", Columns(("id", "when")), ["no column when", "unknown columns text"]),
        ("ID,id,when", Columns(("id", "when")), ["several columns called id"]),
        ("id;when", Columns(("id", "when")), ["no column id, when", "parted by ';'"]),
        ("", Columns(("id",)), ["no column id; the header names none"]),
        ("id,a", Columns(("id", ("b", "c"))), ["no column b or c", "known are id, b, c"]),
    ],
)
def test_every_wrong_column_is_named(
    tmp_path: Path, header: str, columns: Columns, words: list[str]
) -> None:
    with pytest.raises(TableError) as refused:
        rows(tmp_path, header + "\n", Layout(columns))
    assert all(word in str(refused.value) for word in words), str(refused.value)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ("id,when,text\n".encode("utf-16"), "UTF-16"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "before 2007"),
        ("编号,id,when,text\n".encode("gb18030"), "line 1 is not text in utf-8"),
        (b'id,when,"text\n1,1,x\n', "a quote opened in line 1 is never closed"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, held: bytes, words: str) -> None:
    with pytest.raises(TableError, match=words):
        rows(tmp_path, held)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
def test_bytes_that_are_no_letters_cost_their_row_only(tmp_path: Path, encoding: str) -> None:
    held = "id,when,text\n1,1,x\n2,2,?\n3,3,z\n".encode(encoding)
    # Half of a pair of code units, a byte that begins nothing.
    wrong = {"utf-16": b"\x00\xd8"}.get(encoding, b"\xff")
    held = held.replace(b"?\0" if encoding == "utf-16" else b"?", wrong)
    layout = Layout(LAYOUT.columns, encoding=encoding, is_row=LAYOUT.is_row)
    found = rows(tmp_path, held, layout)
    assert told(found) == {3: "text: is not in the file's encoding"}
    assert list(taken(found)) == ["1", "3"]


@given(st.lists(st.lists(st.sampled_from('a"\n,'), max_size=12).map("".join), max_size=12))
def test_every_line_is_of_one_row(parts: list[str]) -> None:
    text = "\n".join(parts)
    lines = text.splitlines(keepends=True)
    counted = 0
    for row in read_csv(lines, ",", lambda cells: len(cells) == 3):
        assert row.line == counted + 1
        counted += row.lines
    assert counted == len(lines)
