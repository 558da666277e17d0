"""Zombie × new owner: a process is frozen in the middle of its batch, another one takes its
partitions over, the frozen one wakes. Whoever commits first counts, and nothing counts twice."""

import signal
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

import psutil
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from common.contracts.topics import PARTITIONS, REPORTS
from tests.integration.hostile_kafka import body
from tests.integration.intake_city import IntakeCity, Running, eventually, submitted

pytestmark = pytest.mark.fault

POSITIONS: Final = "SELECT 1 FROM position WHERE flow = 'channels' ORDER BY partition FOR UPDATE"
SESSIONS: Final = """
    SELECT client_port, state, wait_event_type = 'Lock' AS waits,
        clock_timestamp() - query_start < interval '1 second' AS fresh
    FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'intake'
"""
TAKEN: Final = "another process took over"
TAKEOVER_SECONDS: Final = 60.0


@pytest.fixture
async def city(intake_city: IntakeCity) -> AsyncIterator[IntakeCity]:
    async with intake_city.open() as opened:
        yield opened


async def put_on_every_partition(city: IntakeCity, name: str) -> None:
    for partition in range(PARTITIONS):
        value = body(source_id=f"{name}-{partition}")
        await city.put("channels.app", value, submitted("app"), at=partition)


async def sessions(city: IntakeCity, running: Running) -> Counter[str]:
    """How that process's sessions stand; `waits` for a lock, `fresh` since less than a second."""
    connections = psutil.Process(running.process.pid).net_connections("tcp4")
    ports = {each.laddr.port for each in connections}
    found: Counter[str] = Counter()
    for row in await city.fetch(SESSIONS):
        if row["client_port"] in ports:
            found[row["state"]] += 1
            found["waits"] += bool(row["waits"])
            found["fresh"] += bool(row["waits"] and row["fresh"])
    return found


async def rebalancing(city: IntakeCity) -> bool:
    """Whether somebody has come who the group waits for another member to make room for."""
    admin = AIOKafkaAdminClient(bootstrap_servers=city.bootstrap)
    await admin.start()
    try:
        answers: list[Any] = await admin.describe_consumer_groups([f"{city.prefix}intake.channels"])
    finally:
        await admin.close()
    state: str = answers[0].groups[0][2]
    return state == "PreparingRebalance"


@pytest.mark.parametrize("first", ["zombie", "new owner"])
async def test_zombie_and_new_owner(city: IntakeCity, first: str) -> None:
    zombie = await city.start()
    await put_on_every_partition(city, "before")
    await city.until_read()
    try:
        async with city.database() as holder, holder.transaction():
            await holder.execute(POSITIONS)
            await put_on_every_partition(city, "raced")

            async def has_its_batch() -> bool:
                return (await sessions(city, zombie))["fresh"] == 1

            await eventually(has_its_batch)
            owner = await city.start(until_ready=False)
            await eventually(lambda: rebalancing(city), TAKEOVER_SECONDS)
            await eventually(has_its_batch)
            zombie.process.send_signal(signal.SIGSTOP)

            async def stands() -> bool:
                """Both wait, the zombie in front; or its wait was given up, as its settings say."""
                waiting = [(await sessions(city, each))["waits"] for each in (zombie, owner)]
                return waiting == ([1, 1] if first == "zombie" else [0, 1])

            await eventually(stands, TAKEOVER_SECONDS)
        if first == "new owner":
            await city.until_read()
        else:

            async def holds_the_positions() -> bool:
                return (await sessions(city, zombie))["idle in transaction"] == 1

            await eventually(holds_the_positions)
    finally:
        zombie.process.send_signal(signal.SIGCONT)
    late = owner if first == "zombie" else zombie

    async def noticed() -> bool:
        return TAKEN in late.log.read_text()

    await eventually(noticed)
    await put_on_every_partition(city, "after")
    assert await city.until_read() == Counter(accepted=3 * PARTITIONS)

    async def all_told() -> bool:
        return len(await city.bodies(REPORTS)) >= 3 * PARTITIONS

    await eventually(all_told)
    told = [message["report_id"] for _, message in await city.bodies(REPORTS)]
    assert len(told) == len(set(told)) == 3 * PARTITIONS
