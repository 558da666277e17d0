"""Numbers for people: nobody waits for another's batch, and no number comes twice."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from lastmetre.devstack import Stack
from tests.integration.dispatch_ledger import (
    NETWORK,
    NOW,
    DispatchProcess,
    dispatch_process,
    report,
)
from tests.support.city import TRACE
from tests.support.databases import fresh_database


@pytest.fixture
def database(stack: Stack) -> str:
    """An empty database for dispatch."""
    return fresh_database(stack, "dispatch")


async def test_a_second_process_does_not_wait_for_the_first_ones_batch(database: str) -> None:
    async with (
        dispatch_process(database) as one,
        dispatch_process(database) as other,
        one.batch() as open_batch,
    ):
        first = await one.registrar.register_all(open_batch, NETWORK, [(report(1), TRACE)])
        async with other.batch(lock_timeout="1ms") as work:
            second = await other.registrar.register_all(work, NETWORK, [(report(2), TRACE)])
            waiting = await work.connection.fetchval(
                "SELECT count(*) FROM pg_locks WHERE NOT granted"
            )
        third = await other.register(report(3))
    numbers = [case.number for case in (*first, *second, *third)]
    assert numbers == ["261122-0001007", "261122-0002007", "261122-0003007"]
    assert waiting == 0


async def _fail(process: DispatchProcess, *, after_commit: bool) -> None:
    """Register a report, and lose the connection at the commit."""
    async with process.batch() as work:
        await process.registrar.register_all(work, NETWORK, [(report(1), TRACE)])
        if after_commit:
            await work.flush()
            await work.connection.execute("COMMIT; BEGIN")
        raise ConnectionError


async def test_a_batch_that_is_tried_again_keeps_its_numbers(database: str) -> None:
    async with dispatch_process(database) as process:
        for _ in range(3):
            with pytest.raises(ConnectionError):
                await _fail(process, after_commit=False)
        cases = await process.register(report(1), report(2))
        assert sorted(case.number for case in cases) == ["261122-0001007", "261122-0002007"]


async def test_a_commit_whose_answer_was_lost(database: str) -> None:
    """The number that was used is not given to another report."""
    async with dispatch_process(database) as process:
        with pytest.raises(ConnectionError):
            await _fail(process, after_commit=True)
        cases = await process.register(report(1), report(2))
        assert [case.number for case in cases] == ["261122-0002007"]


async def test_a_report_of_a_century_ago(database: str) -> None:
    old = report(1, reported_at=NOW.replace(year=1926))
    async with dispatch_process(database) as process:
        cases = await process.register(old, report(2))
        cases += await process.register(report(3, reported_at=NOW.replace(year=2126)))
        assert [case.number for case in cases] == [
            "261122-0001007",
            "261122-0002007",
            "261122-0003007",
        ]


async def test_a_number_that_is_taken_costs_a_retry_and_no_report(database: str) -> None:
    """A build of before, beside this one, counts 1926 by itself."""
    async with dispatch_process(database) as process:
        await process.register(*(report(count) for count in range(1, 4)))
        await process.pool.execute("UPDATE day_number SET last = 0")
        with pytest.raises(asyncpg.SerializationError):
            await process.register(report(4), report(5))
        cases = await process.register(report(4), report(5))
        assert [case.number for case in cases] == ["261122-0004007", "261122-0005007"]


async def test_many_at_once(database: str) -> None:
    """Two processes, two days, all at once: each number once, none left out."""
    reports = [report(n, reported_at=NOW - timedelta(days=n % 2)) for n in range(60)]
    async with dispatch_process(database) as one, dispatch_process(database) as other:
        both = (one, other)
        await asyncio.gather(
            *(both[at % 2].register(*reports[at * 5 : at * 5 + 5]) for at in range(12))
        )
        rows = await one.rows('SELECT number FROM "case" ORDER BY number')
    assert [row[0] for row in rows] == [
        f"{day}-{count:04d}007" for day in ("261121", "261122") for count in range(1, 31)
    ]
