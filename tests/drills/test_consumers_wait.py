"""Consumers that stand still, topics that were changed under them, a relay that begins anew."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.topics import PARTITIONS, REPORTS, channel_topic
from lastmetre.common.kafka.topics import apply_topics
from lastmetre.devstack import Stack
from tests.drills.drill import hurried, watched
from tests.support.city import City, inside
from tests.support.holding import holding
from tests.support.topics import delete_topics, records_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HELD: Final = """
    SET LOCAL idle_in_transaction_session_timeout = 0;
    LOCK TABLE "case" IN SHARE MODE
"""
"""For longer than anybody of ours may."""
WITHIN: Final = {"expr": ("[15m]", "[30s]")}
GOOD_AT_ONCE: Final = 20
TERMINATED: Final = """
    SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'dispatch-relay'
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With topics of its own, which are spoilt."""
    with Stack(tmp_path_factory.mktemp("drill") / "home") as running:
        yield running


async def reports(city: City) -> None:
    """Several, at once."""
    several = [
        {"source_id": f"waits-{uuid4()}", "text": "路灯不亮", "position": inside(0)}
        for _ in range(GOOD_AT_ONCE)
    ]
    (await city.post("app", several)).raise_for_status()


async def test_a_consumer_that_waits_and_cases_that_come_late(city: City, tmp_path: Path) -> None:
    """Nobody can write a case; then what waited becomes cases, late, and others come in time."""
    late = {"CasesLateFast": "page", "CasesLateSlowly": "ticket"}
    rules = hurried(tmp_path, "ConsumerWaits", **{"for": ("5m", "10s")})
    await city.import_network()
    async with watched(city, tmp_path, rules) as drill:
        for alert in ("ConsumerWaits", "ConsumerBehind", *late):
            await drill.is_quiet(alert)
        async with holding(city, "dispatch", HELD):
            await city.report(f"waits-{uuid4()}")
            drill.begins()
            await drill.fires("ConsumerWaits", "page", {"dispatch"})
            await drill.fires("ConsumerBehind", "page", {"dispatch"})
            drill.begins()
        await drill.resolves("ConsumerWaits", "page")
        await drill.resolves("ConsumerBehind", "page")
        for alert, severity in late.items():
            await drill.fires(alert, severity, set())
        drill.begins()
        for alert, severity in late.items():
            await drill.resolves(alert, severity, meanwhile=lambda: reports(city))


async def test_figures_that_are_late(city: City, tmp_path: Path) -> None:
    """Metrics can write nothing for a minute and some seconds. A ticket at once; that they are late
    slowly ends only after hours in which they are not."""
    await city.import_network()
    async with watched(city, tmp_path) as drill:
        await drill.is_quiet("FiguresLateFast")
        async with holding(city, "metrics", HELD.replace('"case"', "fact")):
            await city.report(f"figures-{uuid4()}")
            drill.begins()
            await drill.fires("FiguresLateFast", "ticket", set())
            drill.begins()
        await drill.resolves("FiguresLateFast", "ticket")


async def test_a_process_that_comes_and_goes(stack: Stack, city: City, tmp_path: Path) -> None:
    """A second one of notify: each time the first is assigned its partitions anew."""
    rules = hurried(tmp_path, "Rebalances", expr=("[30m]", "[2m]"))

    async def comes_and_goes() -> None:
        for count in (2, 1):
            await asyncio.to_thread(stack.set_scale, {"notify": count})

    async with watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("Rebalances")
        await drill.fires("Rebalances", "ticket", {"notify"}, meanwhile=comes_and_goes)
        drill.begins()
        await drill.resolves("Rebalances", "ticket")


async def test_a_relay_that_loses_its_session(city: City, tmp_path: Path) -> None:
    """Again and again."""
    rules = hurried(tmp_path, "RelayRestarts", **WITHIN)
    dispatch = await city.database("dispatch")

    async def terminate() -> None:
        await dispatch.fetchval(TERMINATED)

    async with watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("RelayRestarts")
        await drill.fires("RelayRestarts", "ticket", {"dispatch"}, meanwhile=terminate)
        drill.begins()
        await drill.resolves("RelayRestarts", "ticket")


async def test_records_that_are_gone(stack: Stack, city: City, tmp_path: Path) -> None:
    """Deleted while dispatch is stopped: what it has not read has no effect. That something is
    missing shows at the next record of a partition that it had read before."""
    rules = hurried(tmp_path, "RecordsGone", expr=("15m", "30s"))
    await city.import_network()

    async def written(count: int) -> bool:
        return len(await records_of(city.bootstrap, REPORTS)) >= count

    async def read_to_the_end() -> bool:
        return await city.figure("dispatch", "lastmetre_consumer_lag_records") == 0

    for _ in range(3):
        await reports(city)
    await city.until(lambda: written(3 * GOOD_AT_ONCE), "reports in most of the partitions")
    await city.until(read_to_the_end, "dispatch at the end of its topics")
    before = len(await records_of(city.bootstrap, REPORTS))
    async with watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("RecordsGone")
        await asyncio.to_thread(stack.stop_process, "dispatch")
        await reports(city)
        await city.until(
            lambda: written(before + GOOD_AT_ONCE), "reports that dispatch has not read"
        )
        await delete_records(city, REPORTS)
        drill.begins()
        await asyncio.to_thread(stack.start_process, "dispatch")
        await drill.fires("RecordsGone", "page", {"dispatch"}, meanwhile=lambda: reports(city))
        drill.begins()
        await drill.resolves("RecordsGone", "page")


async def delete_records(city: City, topic: str) -> None:
    """All that there are."""
    admin = AIOKafkaAdminClient(bootstrap_servers=city.bootstrap)
    await admin.start()
    try:
        places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        await admin.delete_records({place: RecordsToDelete(-1) for place in places})
    finally:
        await admin.close()


async def test_a_topic_that_is_made_anew(city: City, tmp_path: Path) -> None:
    rules = hurried(tmp_path, "PositionReset", expr=("15m", "30s"))
    await city.import_network()
    topic = channel_topic(Channel.APP)
    await city.new_case(f"anew-{uuid4()}")
    async with watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("PositionReset")
        await delete_topics(city.bootstrap, "", [topic])

        async def made() -> bool:
            await apply_topics(city.bootstrap, "", development=True)
            return True

        await city.until(made, "topic")
        drill.begins()
        await drill.fires("PositionReset", "page", {"intake"})
        drill.begins()
        await drill.resolves("PositionReset", "page")
