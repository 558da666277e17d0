"""`case.events` is lost: what the ledger holds is sent again, as it was."""

import io
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pydantic import SecretStr

from lastmetre.common.contracts.requests import Action
from lastmetre.common.contracts.topics import CASE_EVENTS, PARTITIONS
from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.topics import apply_topics
from lastmetre.devstack import Stack
from lastmetre.dispatch.application.recover_ledger import Outcome
from lastmetre.dispatch.entrypoints.recover import recover
from lastmetre.dispatch.settings import RecoverSettings
from tests.integration.dispatch_ledger import (
    DispatchProcess,
    action,
    dispatch_process,
    feedback,
    report,
)
from tests.support.databases import fresh_database
from tests.support.topics import delete_topics

FORGET_BODIES = "UPDATE ledger SET body = NULL, traceparent = NULL"

Sent = tuple[bytes | None, bytes | None, Any]


class World:
    """Dispatch's database, topics of its own, and what recover is told."""

    def __init__(self, bootstrap: str, database: str) -> None:
        self.bootstrap = bootstrap
        self.prefix = f"recover{secrets.token_hex(3)}."
        self.database = database

    @property
    def topic(self) -> str:
        """With its prefix."""
        return self.prefix + CASE_EVENTS

    async def recover(self, *, dry_run: bool = False) -> Outcome:
        """As the program does."""
        settings = RecoverSettings.model_construct(
            database_url=SecretStr(self.database),
            kafka_bootstrap_servers=self.bootstrap,
            topic_prefix=self.prefix,
        )
        return await recover(settings, dry_run=dry_run, progress=io.StringIO())

    async def relay(self, process: DispatchProcess, records: list[ConsumedRecord]) -> None:
        """Send these, and empty the outbox."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        try:
            for each in records:
                await producer.send_and_wait(
                    self.topic,
                    each.value,
                    key=each.key,
                    partition=each.partition,
                    headers=list(each.headers),
                )
        finally:
            await producer.stop()
        await process.pool.execute("DELETE FROM outbox")

    async def ends(self) -> dict[int, int]:
        """Where each partition that is not empty ends."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap)
        await consumer.start()
        try:
            places = [TopicPartition(self.topic, p) for p in range(PARTITIONS)]
            ends = await consumer.end_offsets(places)
        finally:
            await consumer.stop()
        return {place.partition: end for place, end in ends.items() if end}


@pytest.fixture
async def world(stack: Stack, database: str) -> AsyncIterator[World]:
    """With its topics made."""
    world = World(stack.endpoints.bootstrap_servers, database)
    await apply_topics(world.bootstrap, world.prefix, development=True)
    yield world
    await delete_topics(world.bootstrap, world.prefix)


@pytest.fixture
def database(stack: Stack) -> str:
    """An empty database for dispatch."""
    return fresh_database(stack, "dispatch")


async def _live(process: DispatchProcess) -> list[ConsumedRecord]:
    """Some cases' lives; the records of their events in the order of each partition."""
    cases = await process.register(*(report(count) for count in range(20)))
    for at, case in enumerate(cases[:10]):
        await process.ask(action(case.case_id, Action.RESOLVE, 100 + at))
    await process.ask(feedback(cases[0].case_id, 5, 1, reopen=True))
    return await _events(process)


async def _events(process: DispatchProcess) -> list[ConsumedRecord]:
    return [each for each in await process.log() if each.topic == CASE_EVENTS]


def _by_key(records: list[ConsumedRecord]) -> dict[bytes | None, list[Sent]]:
    found: dict[bytes | None, list[Sent]] = {}
    for each in records:
        found.setdefault(each.key, []).append((each.key, each.value, list(each.headers)))
    return found


async def test_an_empty_topic_is_filled_with_what_it_had(world: World) -> None:
    async with dispatch_process(world.database) as process:
        had = await _live(process)
        await process.pool.execute("DELETE FROM outbox")
        counted = await world.recover(dry_run=True)
        assert (counted.missing, counted.cases, counted.ok) == (len(had), 20, False)
        assert await process.log() == []
        outcome = await world.recover()
        assert (outcome.sent, outcome.without_body, outcome.ok) == (len(had), 0, True)
        assert _by_key(await _events(process)) == _by_key(had)

        # Repeated before the relay has sent anything, and after it has: nothing is doubled.
        again = await world.recover()
        assert (again.missing, again.waiting, again.sent) == (0, len(had), 0)
        assert _by_key(await _events(process)) == _by_key(had)
        await world.relay(process, await _events(process))
        last = await world.recover()
        assert (last.on_topic, last.missing, last.waiting) == (len(had), 0, 0)
        assert await process.log() == []


async def test_what_waits_in_the_outbox_stands_behind_what_was_missing_before_it(
    world: World,
) -> None:
    async with dispatch_process(world.database) as process:
        had = await _live(process)
        await process.pool.execute("DELETE FROM outbox")
        keys = sorted(_by_key(had), key=str)
        half = [each for each in had if each.key in keys[:10]]
        await world.relay(process, half)
        # The relay has stopped: these wait, one of a case that is on the topic, one of a lost one.
        (some,) = await process.rows(
            "SELECT array_agg(case_id) FROM \"case\" WHERE state = 'dispatched' AND seq = 2"
        )
        assert isinstance(some[0], list)
        requests = [action(each, Action.ACCEPT, 500 + at) for at, each in enumerate(some[0])]
        await process.ask(*requests)
        waiting = await _events(process)
        outcome = await world.recover()
        assert (outcome.sent, outcome.waiting) == (len(had) - len(half), len(waiting))
        expected = _by_key([*(each for each in had if each not in half), *waiting])
        assert _by_key(await _events(process)) == expected


async def test_what_has_no_body_is_named(world: World) -> None:
    async with dispatch_process(world.database) as process:
        had = await _live(process)
        await process.pool.execute("DELETE FROM outbox")
        await process.pool.execute(
            "UPDATE ledger SET body = NULL, traceparent = NULL WHERE seq = 4"
        )
        outcome = await world.recover()
        assert (outcome.missing, outcome.without_body, outcome.ok) == (len(had), 10, False)
        assert outcome.sent == len(had) - 10
        assert sorted(number for _, number, _ in outcome.lost) == [
            row[0]
            for row in await process.rows('SELECT number FROM "case" WHERE seq > 2 ORDER BY 1')
        ]
        assert {tuple(seqs) for _, _, seqs in outcome.lost} == {(4,)}


async def test_bodies_are_kept_while_the_topic_has_them(world: World) -> None:
    async with dispatch_process(world.database) as process:
        had = await _live(process)
        await world.relay(process, had)
        before = await process.rows("SELECT * FROM ledger ORDER BY case_id, seq")
        await process.pool.execute(
            "UPDATE ledger SET body = NULL, traceparent = NULL WHERE seq > 2"
        )
        outcome = await world.recover()
        assert (outcome.bodies_kept, outcome.missing) == (len(had) - 40, 0)
        assert await process.rows("SELECT * FROM ledger ORDER BY case_id, seq") == before


async def test_the_relay_may_go_on_from_the_present_end(world: World) -> None:
    async with dispatch_process(world.database) as process:
        await process.pool.execute(
            "CREATE TABLE IF NOT EXISTS outbox_acknowledged (topic text, partition int,"
            " next_offset bigint, appended_at bigint, PRIMARY KEY (topic, partition))"
        )
        await process.pool.execute(
            "INSERT INTO outbox_acknowledged SELECT 'case.events', p, 1000, 1"
            " FROM generate_series(0, 11) AS p"
        )
        had = await _live(process)
        await world.relay(process, had[:30])
        outcome = await world.recover()
        assert outcome.relay_released
        rows = await process.rows("SELECT partition, next_offset FROM outbox_acknowledged")
        assert dict(rows) == await world.ends()  # type: ignore[arg-type]
