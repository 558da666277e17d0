"""Small files through `lastmetre import` and `replay-actions`, and one case's way shown."""

import csv
import uuid
from pathlib import Path
from typing import Any

import pytest

from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from tests.support.city import City
from tests.support.commands import lastmetre

MAPPING = """\
times: {zone: Asia/Shanghai, format: "%Y-%m-%d %H:%M"}
source_id: id
reported_at: at
channel: app
text: text
position: {latitude: lat, longitude: lon}
replay:
  column: state
  at: done
  steps: {done: resolve, void: cancel, open: null}
"""
HEADER = "id,at,text,lat,lon,state,done\n"


@pytest.fixture
def run() -> str:
    """Makes the ids of one test its own."""
    return uuid.uuid4().hex[:8]


class Desk:
    """A file and its mapping in a folder, and the commands on them."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack = stack
        self.file = folder / f"{uuid.uuid4().hex}.csv"
        self.mapping = folder / "mapping.yaml"
        self.mapping.write_text(MAPPING)

    def write(self, *rows: str) -> None:
        self.file.write_text(HEADER + "".join(f"{row}\n" for row in rows))

    async def run(self, command: str, *options: Any, code: int = 0) -> dict[str, Any]:
        return await lastmetre(
            self._stack, command, self.file, "--mapping", self.mapping, *options, code=code
        )


@pytest.fixture
def desk(stack: Stack, tmp_path: Path) -> Desk:
    return Desk(stack, tmp_path)


def counted(document: dict[str, Any]) -> tuple[int, int, int, int]:
    wanted = "accepted", "already_there", "refused", "noted"
    accepted, there, refused, noted = (document[name] for name in wanted)
    return accepted, there, refused, noted


def told(document: dict[str, Any]) -> list[tuple[int, str, str]]:
    """What the errors file says of which line, without the reasons' ends."""
    with Path(document["errors_file"]).open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["line"]))
    return [(int(row["line"]), row["what"], row["reason"][:20]) for row in rows]


async def test_bad_rows_are_told_and_keep_none_back(desk: Desk, city: City, run: str) -> None:
    await city.import_network()
    desk.write(
        f"{run}-1,2026-03-01 08:00,暗,0.5,0.5,open,",
        f"{run}-2,yesterday,暗,0.5,0.5,open,",
        f"{run}-3,2099-03-01 08:00,暗,0.5,0.5,open,",
        f"{run}-4,2026-03-01 08:00,,0.5,0.5,open,",
        f"{run}-1,2026-03-01 08:00,暗,0.5,0.5,open,",
        f"{run}-5,2026-03-01 08:00,暗,,,open,",
    )
    assert counted(await desk.run("import", "--dry-run", code=1)) == (4, 1, 1, 0)
    first = await desk.run("import", code=1)
    assert counted(first) == (2, 1, 3, 0)
    assert told(first) == [
        (3, "refused", "at: 'yesterday' is n"),
        (4, "refused", "reported_in_the_futu"),
        (5, "refused", "says_nothing"),
    ]
    assert counted(await desk.run("import", code=1)) == (0, 5, 1, 0)


async def test_live_reports_happen_now_and_are_told(desk: Desk, city: City, run: str) -> None:
    await city.import_network()
    desk.write(f"{run},2026-03-01 08:00,暗,0.5,0.5,open,")
    receipts = desk.file.with_suffix(".receipts")
    document = await desk.run("import", "--live", "--rate", "50", "--receipts", receipts)
    assert counted(document) == (1, 0, 0, 0)
    (answer,) = await looked_up(city, run)
    assert answer["receipt"] in receipts.read_text()
    dispatch = await city.database("dispatch")
    row = await dispatch.fetchrow(
        "SELECT origin, reported_at > now() - interval '1 hour' AS now"
        ' FROM "case" WHERE case_id = $1',
        uuid.UUID(answer["case_id"]),
    )
    assert row
    assert (row["origin"], row["now"]) == ("live", True)


async def test_each_report_names_the_mapping_that_read_it(desk: Desk, city: City, run: str) -> None:
    desk.write(f"{run}-1,2026-03-01 08:00,暗,0.5,0.5,open,")
    assert counted(await desk.run("import")) == (1, 0, 0, 0)
    intake = await city.database("intake")
    read_by = "SELECT report_id, read_by FROM report WHERE source_id = $1"
    first = await intake.fetchrow(read_by, f"{run}-1")
    assert first
    assert first["read_by"].startswith("mapping/1/")
    # The next version reads the same of a file with a column more: a repetition, no conflict.
    desk.mapping.write_text("version: 2\n" + MAPPING)
    desk.file.write_text(
        f"{HEADER.strip()},crew\n{run}-1,2026-03-01 08:00,暗,0.5,0.5,open,,A7\n"
        f"{run}-2,2026-03-01 08:00,暗,0.5,0.5,open,,A7\n"
    )
    assert counted(await desk.run("import")) == (1, 1, 0, 0)
    assert await intake.fetchrow(read_by, f"{run}-1") == first
    second = await intake.fetchrow(read_by, f"{run}-2")
    assert second
    assert second["read_by"].startswith("mapping/2/")
    later = await intake.fetch(
        "SELECT outcome FROM later_record WHERE report_id = $1", first["report_id"]
    )
    assert [each["outcome"] for each in later] == ["repeated"]


async def looked_up(city: City, *source_ids: str) -> list[dict[str, Any]]:
    """What intake says of them, once all of them are cases with a lead or in the queue."""

    async def look() -> list[dict[str, Any]] | None:
        answer = await city.http.post(
            city.url("intake", "/api/intake/v1/lookup"),
            json={"sender": "city-app", "channel": "app", "source_ids": list(source_ids)},
            headers=city.bearer(Role.ADMINISTRATOR),
        )
        found: list[dict[str, Any]] = answer.json()["reports"]
        settled = all(each.get("state") not in (None, "registered") for each in found)
        return found if settled else None

    return await city.until(look, "cases")


async def test_what_was_done_is_replayed_once(
    stack: Stack, desk: Desk, city: City, run: str
) -> None:
    await city.import_network()
    rows = (
        f"{run}-1,2026-03-01 08:00,暗,0.5,0.5,done,2026-03-02 09:30",
        f"{run}-2,2026-03-01 08:00,暗,,,done,2026-03-02 09:30",
        f"{run}-3,2026-03-01 08:00,暗,0.5,1.5,void,2026-03-02 09:30",
        f"{run}-4,2026-03-01 08:00,暗,0.5,1.5,open,",
        f"{run}-5,2026-03-01 08:00,暗,0.5,0.5,done,2026-02-28 09:30",
        f"{run}-6,2026-03-01 08:00,暗,0.5,0.5,done,2026-03-02 09:30",
    )
    desk.write(*rows)
    await desk.run("import")
    # One of them was closed by its lead before: history must not overrule that.
    closed_before = uuid.UUID((await looked_up(city, f"{run}-6"))[0]["case_id"])
    assert (await city.act(closed_before, "resolve")).status_code == 200
    desk.write(
        *rows,
        f"{run}-7,2026-03-01 08:00,暗,,,done,2026-03-02 09:30",
        f"{run}-1,2026-03-01 08:00,暗,,,done,3020-03-02 09:30",
    )

    wanted = {"resolved": 3, "cancelled": 1, "already_there": 0, "nothing_to_replay": 1,
              "without_a_lead": 1, "closed_before_reported": 1, "refused": 3}  # fmt: skip
    first = await desk.run("replay-actions", code=1)
    assert {name: first[name] for name in wanted} == wanted
    assert told(first) == [
        (6, "taken", "closed before it was"),
        (7, "refused", "dispatch: not_allowe"),
        (8, "refused", "there is no such rep"),
        (9, "refused", "done: '3020-03-02 09"),
    ]
    cases = await looked_up(city, *(f"{run}-{n}" for n in range(1, 7)))
    before = [await city.state(uuid.UUID(each["case_id"])) for each in cases]
    assert [state for _, state in before] == [
        "closed", "closed", "cancelled", "dispatched", "closed", "closed",
    ]  # fmt: skip
    again = await desk.run("replay-actions", code=1)
    assert (again["resolved"], again["cancelled"], again["already_there"]) == (0, 0, 4)
    assert [await city.state(uuid.UUID(each["case_id"])) for each in cases] == before

    shown = await lastmetre(stack, "case", "show", cases[0]["number"])
    types = [step["type"].split(".")[1:3] for step in shown["way"]]
    assert [name for kind, name in types if kind == "case"] == [
        "registered", "dispatched", "resolved", "verified", "closed",
    ]  # fmt: skip
    assert {"report", "action", "case", "message"} == {kind for kind, _ in types}
    assert [kind for kind, _ in types].count("action") == 4  # asked and answered, twice
    events = [step for step in shown["way"] if step["topic"] == "case.events"]
    assert [step["offset"] for step in events] == sorted(step["offset"] for step in events)
    assert all(len(step["trace_id"]) == 32 for step in shown["way"])
    assert shown["figures"]["state"] == "closed"
    assert shown["figures"]["response_seconds"] == 25.5 * 3600
