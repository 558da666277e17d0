"""Rows of a file: what can be used becomes a report or a step, the rest is told, line by line."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lastmetre.cli.importing.reports import Prepared, prepare
from lastmetre.cli.importing.rows import layout_of
from lastmetre.cli.importing.steps import step_in
from lastmetre.common.contracts.base import Actor, ActorRole, Origin
from lastmetre.common.mapping.engine import Reader
from lastmetre.common.mapping.model import TableMapping
from lastmetre.common.mapping.values import Unusable
from lastmetre.common.tables.problems import TableError
from lastmetre.common.tables.reading import Row, read_rows

HELD: dict[str, Any] = {
    "times": {"zone": "Asia/Shanghai", "format": "%Y-%m-%d %H:%M"},
    "source_id": "id",
    "reported_at": "at",
    "channel": {"column": "from", "values": {"tel": "hotline"}},
    "text": "text",
    "position": {"latitude": "lat", "longitude": "lon", "datum": "gcj02"},
    "contact": {"phone": "phone"},
    "replay": {"column": "state", "at": "done",
               "steps": {"done": "resolve", "void": "cancel", "open": None}},
}  # fmt: skip
HEADER = "id,at,from,text,lat,lon,phone,state,done\n"
GOOD = "1,2026-03-01 08:00,tel,路灯不亮,24.1,112.9,13800138000,done,2026-03-02 09:30\n"

ROWS = {
    "good": (GOOD, None),
    "no place, nobody": ("1,2026-03-01 08:00,tel,暗,,,,open,\n", None),
    "no id": (GOOD.replace("1,2026", ",2026", 1), "id is empty"),
    "no time": ("1,,tel,暗,,,,open,\n", "at is empty"),
    "no such time": ("1,2026-02-30 08:00,tel,暗,,,,open,\n", "is not a time"),
    "another channel": ("1,2026-03-01 08:00,fax,暗,,,,open,\n", "'fax', which channel.values"),
    "half a position": ("1,2026-03-01 08:00,tel,暗,24.1,,,open,\n", "are not degrees"),
    "an underscore in a position": (
        "1,2026-03-01 08:00,tel,暗,2_4.1,112.9,,open,\n",
        "are not degrees",
    ),
    "words for a position": ("1,2026-03-01 08:00,tel,暗,N,E,,open,\n", "are not degrees"),
    "beyond the pole": (
        "1,2026-03-01 08:00,tel,暗,91,0,,open,\n",
        "latitude: Input should be less",
    ),
    "not a number": ("1,2026-03-01 08:00,tel,暗,nan,0,,open,\n", "latitude"),
    "too few cells": ("1,2026-03-01 08:00,tel\n", "3 cells where the header has 9"),
    "too many cells": (GOOD.replace("\n", ",x\n"), "10 cells where the header has 9"),
    "an id too long": (GOOD.replace("1,2026", "9" * 121 + ",2026", 1), "id: String should have"),
    "a time before there were any": ("1,1800-03-01 08:00,tel,暗,,,,open,\n", "years 1900 to 2100"),
    "no date of .NET (finding 3)": ("1,0001-01-01 00:00,tel,暗,,,,open,\n", "years 1900 to 2100"),
    "open end (finding 3)": ("1,9999-12-31 23:59,tel,暗,,,,open,\n", "years 1900 to 2100"),
    "another millennium (finding 2)": ("1,3020-01-02 10:00,tel,暗,,,,open,\n", "1900 to 2100"),
    "a stray quote (finding 4)": (
        GOOD.replace("路灯", '"路灯'),
        "a quote opened in line 3 is never closed",
    ),
    "a comma too many that is empty (finding 25)": (GOOD.replace("\n", ",,\n"), None),
    "a cell with NUL": (GOOD.replace("路灯", "路\0灯"), "text: holds the letter NUL"),
}


def mapping(**changed: Any) -> TableMapping:
    return TableMapping.model_validate(HELD | changed)


def rows_of(path: Path, chosen: TableMapping) -> list[Row]:
    return list(read_rows(path, layout_of(reader_of(chosen), chosen)))


def reader_of(chosen: TableMapping) -> Reader:
    return Reader(chosen, "m/1/0")


def prepared(path: Path, chosen: TableMapping, *, live: bool = False) -> list[Prepared | str]:
    found: list[Prepared | str] = []
    for row in rows_of(path, chosen):
        try:
            found.append(prepare(row, reader_of(chosen), live=live))
        except Unusable as error:
            found.append(f"line {row.line}: {error}")
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "reports.csv"


@pytest.mark.parametrize("row", ROWS)
def test_a_bad_row_is_told_and_its_neighbours_are_taken(file: Path, row: str) -> None:
    text, problem = ROWS[row]
    file.write_text(HEADER + GOOD + text + GOOD)
    first, between, last = prepared(file, mapping())
    assert isinstance(first, Prepared)
    assert isinstance(last, Prepared)
    assert (first.line, last.line) == (2, 4)
    if problem is None:
        assert isinstance(between, Prepared)
    else:
        assert isinstance(between, str)
        assert between.startswith("line 3: ")
        assert problem in between


def test_a_report_says_what_its_row_says(file: Path) -> None:
    file.write_text(HEADER + GOOD, encoding="gb18030")
    (each,) = prepared(file, mapping(encoding="gb18030"))
    assert isinstance(each, Prepared)
    assert each.report.model_dump(mode="json", exclude_defaults=True) == {
        "source_id": "1",
        "reported_at": "2026-03-01T00:00:00Z",
        "text": "路灯不亮",
        "position": {"latitude": 24.1, "longitude": 112.9, "datum": "gcj02"},
        "contact": {"phone": "13800138000"},
        "origin": "import",
        "read_by": "m/1/0",
        "sent": '{"id":"1","at":"2026-03-01 08:00","from":"tel","text":"路灯不亮","lat":"24.1",'
        '"lon":"112.9","phone":"13800138000","state":"done","done":"2026-03-02 09:30"}',
    }


def test_live_it_has_no_time_of_its_own(file: Path) -> None:
    file.write_text(HEADER + GOOD.replace("2026-03-01 08:00", "whenever"))
    (each,) = prepared(file, mapping(), live=True)
    assert isinstance(each, Prepared)
    assert (each.report.reported_at, each.report.origin) == (None, Origin.LIVE)


def test_lines_are_those_of_an_editor(file: Path) -> None:
    spoken = GOOD.replace("路灯不亮", '"first\nsecond"')
    file.write_text(HEADER + spoken + "\n" + GOOD.replace("tel", "fax"))
    taken, refused = prepared(file, mapping())
    assert isinstance(taken, Prepared)
    assert taken.report.text == "first\nsecond"
    assert str(refused).startswith("line 5: ")


def test_bytes_in_another_encoding_cost_their_row_only(file: Path) -> None:
    file.write_bytes((HEADER + GOOD).encode() + GOOD.encode("gb18030") + GOOD.encode())
    taken, refused, also = prepared(file, mapping())
    assert refused == "line 3: text: is not in the file's encoding"
    assert isinstance(taken, Prepared)
    assert isinstance(also, Prepared)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no column id"),
        ("id;at;from\n", "no column id"),
        (HEADER.replace("lat", "latitude"), "no column lat"),
        (HEADER.replace("text", "id"), "no column text"),
        (HEADER.replace("\n", ",id\n"), "several columns called id"),
    ],
)
def test_a_header_that_does_not_fit_ends_it_before_anything_is_sent(
    file: Path, text: str, problem: str
) -> None:
    file.write_text(text)
    with pytest.raises(TableError, match=problem):
        rows_of(file, mapping())


@pytest.mark.parametrize(
    ("state", "done", "lead", "wanted"),
    [
        ("done", "2026-03-02 09:30", "L1", ("resolve", "lead", "L1", None, None)),
        ("done", "2026-03-02 09:30", None, ("resolve", "operator", "replay", None, None)),
        ("void", "2026-03-02 09:30", "L1", ("cancel", "operator", "replay", 2, "void")),
    ],
)
def test_who_acts(
    file: Path, state: str, done: str, lead: str | None, wanted: tuple[Any, ...]
) -> None:
    known = mapping()
    file.write_text(HEADER + f"1,2026-03-01 08:00,tel,暗,,,,{state},{done}\n")
    (row,) = rows_of(file, known)
    step = step_in(row, reader_of(known), known)
    assert step
    case = {"case_id": "01890000-0000-7000-8000-000000000001", "seq": 2, "lead_id": lead}
    request = step.request("hotline-12345", case, 0)
    action, role, who, seq, reason = wanted
    assert request.action == action
    assert request.actor == Actor(role=ActorRole(role), id=who)
    assert (request.expected_seq, request.cancel_reason) == (seq, reason)
    assert request.occurred_at == datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
    again = step.request("hotline-12345", case | {"seq": 3, "lead_id": "L9"}, 0)
    assert again.action_id == request.action_id
    assert step.request("hotline-12345", case, 1).action_id != request.action_id


@pytest.mark.parametrize(
    ("state", "done", "problem"),
    [
        ("done", "", "done is empty"),
        ("done", "soon", "is not a time"),
        ("gone", "2026-03-02 09:30", "'gone', which replay.steps lacks"),
        ("done", "3020-01-03 10:00", "done: .* is not in the years 1900 to 2100"),
        ("done", "0001-01-01 00:00", "done: .* is not in the years 1900 to 2100"),
        ("open", "", None),
    ],
)
def test_steps_that_are_none(file: Path, state: str, done: str, problem: str | None) -> None:
    known = mapping()
    file.write_text(HEADER + f"1,2026-03-01 08:00,tel,暗,,,,{state},{done}\n")
    (row,) = rows_of(file, known)
    if problem is None:
        assert step_in(row, reader_of(known), known) is None
    else:
        with pytest.raises(Unusable, match=problem):
            step_in(row, reader_of(known), known)


def test_closed_before_it_was_reported_is_flagged(file: Path) -> None:
    known = mapping()
    file.write_text(HEADER + "1,2026-03-03 08:00,tel,暗,,,,done,2026-03-02 09:30\n")
    (row,) = rows_of(file, known)
    step = step_in(row, reader_of(known), known)
    assert step
    assert step.closed_before_reported
    assert "no response time" in (step.doubt or "")
