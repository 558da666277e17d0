"""Zombie × new owner: a process is frozen with a batch begun, another takes its partitions over,
the frozen one wakes up. A batch's transaction compares its positions: one of the two counts."""

import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.topics import PARTITIONS, REPORTS
from tests.integration.hostile_kafka import body
from tests.support.city import IntakeAlone, ServiceProcess, eventually, submitted

MOVES_ITS_POSITIONS: Final = "INSERT INTO position"
KEEPS_ITS_REPORTS: Final = "INSERT INTO report"
WAITING: Final = """
    SELECT pid FROM pg_stat_activity WHERE datname = current_database()
    AND wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%' AND pid <> pg_backend_pid()
"""
TAKEOVER_SECONDS: Final = 60.0


@pytest.fixture
async def city(intake_city: IntakeAlone) -> AsyncIterator[IntakeAlone]:
    async with intake_city.running() as opened:
        yield opened


async def put_on_every_partition(city: IntakeAlone, name: str) -> None:
    for partition in range(PARTITIONS):
        value = body(source_id=f"{name}-{partition}")
        await city.produce("channels.app", b"k", value, submitted("app"), partition)


async def until_told(city: IntakeAlone) -> None:
    async def nothing_left() -> bool:
        return bool(await city.value("SELECT count(*) FROM outbox") == 0)

    await eventually(nothing_left)


async def until_waits(city: IntakeAlone, statement: str) -> int:
    """Wait until a session waits for a lock with that statement; its process id."""

    async def look() -> int | None:
        found: int | None = await city.value(WAITING, statement)
        return found

    return await eventually(look, statement, TAKEOVER_SECONDS)


async def until_they_share(*processes: ServiceProcess) -> None:
    """Wait until each has its part: nobody is at a batch of partitions that another one has."""

    async def each_has_its_part() -> bool:
        parts = [
            await each.figure("lastmetre_assigned_partitions", consumer="channels")
            for each in processes
        ]
        return min(parts) > 0 and sum(parts) == len(Channel) * PARTITIONS

    await eventually(each_has_its_part, "part for each")


@asynccontextmanager
async def frozen(running: ServiceProcess) -> AsyncIterator[None]:
    running.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        running.process.send_signal(signal.SIGCONT)


async def with_a_history(city: IntakeAlone) -> ServiceProcess:
    """A process that has every partition, and has read a record of each."""
    running = await city.start()
    await put_on_every_partition(city, "before")
    await city.until_read()
    await until_told(city)
    return running


async def each_counts_once(city: IntakeAlone) -> None:
    await put_on_every_partition(city, "after")
    assert await city.until_read() == Counter(accepted=3 * PARTITIONS)
    await until_told(city)
    told = [each.body["report_id"] for each in await city.records(REPORTS)]
    assert len(told) == len(set(told)) == 3 * PARTITIONS


async def test_the_new_owner_commits_first_and_the_zombie_changes_nothing(
    city: IntakeAlone,
) -> None:
    zombie = await with_a_history(city)
    async with city.connection() as holder, holder.transaction():
        await holder.execute("SELECT 1 FROM position WHERE flow = 'channels' FOR UPDATE")
        await put_on_every_partition(city, "raced")
        session = await until_waits(city, MOVES_ITS_POSITIONS)
        zombie.process.send_signal(signal.SIGSTOP)
        # As its timeouts do in the end: nobody waits for what a frozen process has begun.
        assert await holder.fetchval("SELECT pg_terminate_backend($1, 5000)", session)
    async with frozen(zombie):
        owner = await city.launch()

        async def taken_over() -> bool:
            read = "SELECT count(*) FROM position WHERE flow = 'channels' AND next_offset = 2"
            return bool(await city.value(read) == PARTITIONS)

        await eventually(taken_over, seconds=TAKEOVER_SECONDS)
    await until_they_share(zombie, owner)
    await each_counts_once(city)


async def test_the_zombie_commits_first_and_the_new_owner_stands_back(city: IntakeAlone) -> None:
    zombie = await with_a_history(city)
    async with city.connection() as holder:
        async with holder.transaction():
            await holder.execute("LOCK TABLE report IN SHARE MODE")
            await put_on_every_partition(city, "raced")
            session = await until_waits(city, KEEPS_ITS_REPORTS)
            zombie.process.send_signal(signal.SIGSTOP)
        async with frozen(zombie):
            owner = await city.launch()
            # Its positions are moved, but only in the transaction that the zombie has open.
            waits = await until_waits(city, MOVES_ITS_POSITIONS)
            blocking = await holder.fetchval("SELECT pg_blocking_pids($1)", waits)
            assert session in blocking
    await until_they_share(zombie, owner)
    await each_counts_once(city)
