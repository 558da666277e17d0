"""Cases near a case, by the index alone: what is asked does not grow with the city."""

from datetime import timedelta
from typing import Final

import pytest

from lastmetre.common.contracts.base import Position
from lastmetre.common.contracts.requests import Action
from lastmetre.devstack import Stack
from lastmetre.dispatch.adapters.postgres.likely_cases import REPORTED_NEAR, reported_near
from tests.integration.dispatch_ledger import NOW, action, dispatch_process, new_id, report
from tests.integration.merging import merge, refusals
from tests.support.databases import fresh_database

WEEK: Final = timedelta(days=7)
METRE: Final = 1 / 111_320
"""Degrees of latitude, and of longitude on the equator."""


@pytest.fixture
def database(stack: Stack) -> str:
    """An empty database for dispatch."""
    return fresh_database(stack, "dispatch")


def at(north: float, east: float = 0) -> Position:
    """Metres from the corner of four cells of the grid, in the network's area."""
    return Position(latitude=0.5 + north * METRE, longitude=0.5 + east * METRE)


async def test_what_is_near_on_either_side_of_a_cells_border(database: str) -> None:
    async with dispatch_process(database) as process:
        places = [at(0), at(-40), at(0, -40), at(30, 30), at(300), None]
        reports = [report(count, position=place) for count, place in enumerate(places, 1)]
        late = report(7, position=at(1), reported_at=NOW - timedelta(days=8))
        ended, cancelled = report(8, position=at(2)), report(9, position=at(3))
        closed = report(10, position=at(4))
        registered = await process.register(*reports, late, ended, cancelled, closed)
        cases = {each.report_id: each.case_id for each in registered}
        results = await process.ask(
            merge(cases[ended.report_id], cases[reports[0].report_id]),
            action(
                cases[cancelled.report_id], Action.CANCEL, new_id(), lead=None, expected_seq=2,
                cancel_reason="not_a_problem",
            ),
            action(cases[closed.report_id], Action.RESOLVE, new_id()),
        )  # fmt: skip
        assert refusals(results) == [None] * 3
        async with process.pool.acquire() as connection:
            found = await reported_near(connection, at(0), 60, NOW - WEEK, NOW + WEEK, 20)
        near = {each.report_id for each in reports[:4]}
        assert {each.report_id for each in found[:-1]} == near
        assert found[-1].report_id == closed.report_id


async def test_it_looks_at_what_lies_there_and_not_at_the_city(database: str) -> None:
    async with dispatch_process(database) as process:
        await process.register(*(report(count, position=at(count)) for count in range(1, 6)))
        await process.pool.execute(
            """
            INSERT INTO "case" SELECT gen_random_uuid(), seq, state, is_open, number || n,
                gen_random_uuid(), channel, origin, category, language, reported_at,
                n * 0.002, 0.5, changed_at, area_id, lead_id, unplaced_reason, closings, rated,
                merged, accuracy_metres, reported_accuracy_metres
            FROM (SELECT * FROM "case" LIMIT 1) AS one, generate_series(300, 20000) AS n
            """
        )
        await process.pool.execute('ANALYZE "case"')
        async with process.pool.acquire() as connection:
            found = await reported_near(connection, at(0), 60, NOW - WEEK, NOW + WEEK, 20)
            assert len(found) == 5
            plan = await connection.fetch(
                f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {REPORTED_NEAR}",
                [500, 499], 499, 500, NOW - WEEK, NOW + WEEK, 20,
            )  # fmt: skip
        text = "\n".join(row[0] for row in plan)
        assert "case_by_place" in text
        assert "Seq Scan" not in text
