"""A case's timeline in intake's database: from before it had a row a turn, and written on."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from pydantic_core import to_json

from lastmetre.common.postgres.migrate import migrate
from lastmetre.devstack import Stack
from lastmetre.intake.adapters.postgres import cases
from lastmetre.intake.adapters.postgres.cases import Told
from lastmetre.intake.domain.case_view import CaseView, Entry
from tests.support.databases import fresh_database, migrate_in_part

CASE, REPORT = UUID(int=1), UUID(int=2)
BEGIN = datetime(2026, 11, 22, 7, 0, 0, 123456, tzinfo=UTC)
LEAD = {
    "lead_id": "L1",
    "name": {"zh": "李敏", "en": "Li Min"},
    "post": {"zh": "片长", "en": "Lead"},
}


def entry(seq: int, kind: str, **details: object) -> Entry:
    happened = BEGIN + timedelta(minutes=seq)
    return Entry(seq, kind, happened, happened + timedelta(seconds=1), details)


OLD = [
    entry(1, "registered"),
    entry(2, "dispatched", area_id="A1", lead=LEAD),
    entry(3, "accepted"),
]
NEW = [
    entry(4, "returned", reason="wrong_area"),
    entry(5, "unplaced", reason="returned"),
    entry(6, "dispatched", area_id="A2", lead=LEAD | {"lead_id": "L2"}),
]


@pytest.fixture
def database(stack: Stack) -> str:
    return fresh_database(stack, "intake")


async def test_rows_of_single_events_are_kept_and_written_on(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await migrate_in_part(connection, "intake", 2)
        await connection.execute(
            "INSERT INTO case_view VALUES ($1, $2, '261122-0001', 3, 'accepted', 'A1', $3)",
            CASE, REPORT, to_json(LEAD).decode(),
        )  # fmt: skip
        await connection.executemany(
            "INSERT INTO timeline VALUES ($1, $2, $3, $4, $5, $6)",
            [(CASE, *each[:4], to_json(each.details).decode()) for each in OLD],
        )
        await migrate(database, ("intake",))
        assert await cases.last_seqs(connection, [CASE]) == {CASE: 3}
        assert await cases.timeline(connection, CASE) == OLD
        await cases.append_timelines(connection, [Told(CASE, 5, NEW[:2]), Told(CASE, 6, NEW[2:])])
        timeline = await cases.timeline(connection, CASE)
    finally:
        await connection.close()
    assert timeline == OLD + NEW
    view = CaseView(CASE, "261122-0001", 1, timeline)
    assert (view.seq, view.state, view.area_id) == (6, "dispatched", "A2")
    assert view.lead is not None
    assert view.lead.lead_id == "L2"
