"""SIGTERM under load: a service finishes what it holds, relays it, and ends with 0 in its time."""

import asyncio
import uuid
from collections import Counter
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from cli.stack import Stack
from common.contracts.topics import CASE_EVENTS, NOTIFY_DELIVERIES, PARTITIONS, REPORTS, SERVICES
from tests.faults.test_kill import taken
from tests.support.city import City, inside

pytestmark = pytest.mark.fault

ARRAY = 40


class Load:
    """Reports without a pause, until told to stop."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._stopping = False
        self.name = f"drain-{uuid.uuid4()}"
        self.sent = 0

    def stop(self) -> None:
        self._stopping = True

    async def run(self) -> None:
        while not self._stopping:
            items: list[dict[str, Any]] = [
                {"source_id": f"{self.name}-{n}", "text": "井盖松动", "position": inside(n % 3)}
                for n in range(self.sent, self.sent + ARRAY)
            ]
            await self._city.until(lambda: taken(self._city, items), "answer", 60)  # noqa: B023
            self.sent += ARRAY

    async def more(self, count: int) -> None:
        """Wait until so many more are taken."""
        wanted = self.sent + count

        async def enough() -> bool:
            return self.sent >= wanted

        await self._city.until(enough, "report taken", 60)


class Told:
    """How often each event was put onto a topic, from where this was opened."""

    def __init__(self, city: City) -> None:
        self._places = [
            TopicPartition(city.prefix + topic, partition)
            for topic in (REPORTS, CASE_EVENTS, NOTIFY_DELIVERIES)
            for partition in range(PARTITIONS)
        ]
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=city.endpoints["KAFKA_BOOTSTRAP_SERVERS"]
        )
        self._start: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> "Told":
        await self._consumer.start()
        self._start = await self._consumer.end_offsets(self._places)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def count(self) -> Counter[tuple[str, bytes]]:
        """By topic and the event's own id."""
        ends = await self._consumer.end_offsets(self._places)
        rest = {place for place in self._places if self._start[place] < ends[place]}
        self._consumer.assign(list(rest))
        for place in rest:
            self._consumer.seek(place, self._start[place])
        told: Counter[tuple[str, bytes]] = Counter()
        while rest:
            for place, batch in (await self._consumer.getmany(timeout_ms=500)).items():
                told.update((place.topic, dict(each.headers)["ce_id"]) for each in batch)
                if batch[-1].offset + 1 >= ends[place]:
                    rest.discard(place)
        return told


async def test_a_service_told_to_stop_finishes_what_it_holds(stack: Stack, city: City) -> None:
    await city.import_network()
    load = Load(city)
    async with Told(city) as told:
        sending = asyncio.create_task(load.run())
        for service in SERVICES:
            await load.more(3 * ARRAY)
            await asyncio.to_thread(stack.stop_process, service)
            # -1 would be the supervisor's SIGKILL, after its fifteen seconds.
            assert stack.exit_status(service) == 0, service
            database = await city.database(service)
            assert await database.fetchval("SELECT count(*) FROM outbox") == 0, service
            await asyncio.to_thread(stack.start_process, service)
        load.stop()
        await sending

        intake, metrics = await city.database("intake"), await city.database("metrics")
        reports = await intake.fetchval(
            "SELECT array_agg(report_id) FROM report WHERE source_id LIKE $1 || '-%'", load.name
        )

        async def done() -> bool:
            facts = await metrics.fetchval(
                "SELECT count(*) FROM fact WHERE report_id = ANY($1) AND seq = 2", reports
            )
            messages = await metrics.fetchval(
                "SELECT count(*) FROM message JOIN fact USING (case_id)"
                " WHERE report_id = ANY($1) AND recipient = 'lead'", reports
            )  # fmt: skip
            return bool(facts == load.sent == messages)

        await city.until(done, "fact and message for every report", 90)
        again = {event: times for event, times in (await told.count()).items() if times > 1}
    assert again == {}
