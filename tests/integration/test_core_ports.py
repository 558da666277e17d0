"""What the core relies on in its tables: the same of PostgreSQL, and of the simulation's fake."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.codec import ConsumedRecord, OutboxMessage, packed
from lastmetre.common.kafka.dead_letter_limit import Sender
from lastmetre.common.kafka.ports import (
    Database,
    TopicPartition,
)
from lastmetre.common.kafka.positions import OffsetGap, StoredOffset
from lastmetre.common.outbox.messages import batches_of, shard_of
from lastmetre.common.postgres import applied_migrations
from lastmetre.common.postgres.core_tables import TABLES as POSTGRES_TABLES
from lastmetre.common.postgres.database import PostgresDatabase, create_pool, server_settings
from lastmetre.common.postgres.migrate import migrate
from tests.simulation.store import SimulatedDatabase, Store
from tests.simulation.tables import TABLES as SIMULATED_TABLES
from tests.simulation.world import Machine, World
from tests.support.databases import fresh_database

HERE = TopicPartition(CASE_EVENTS, 1)
EPOCH = 1_796_082_102_117
"""Milliseconds since 1970, as a writer epoch is."""
THERE = TopicPartition(CASE_EVENTS, 2)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = UUID(int=7)


@dataclass
class Memory:
    """A database with the core's tables."""

    database: Database
    tables: Any

    async def advance(
        self,
        before: Mapping[TopicPartition, StoredOffset | None],
        after: Mapping[TopicPartition, StoredOffset],
    ) -> bool:
        async with self.database.transaction() as connection:
            moved: bool = await self.tables.advance_positions(connection, "c", before, after)
            return moved

    async def positions(self) -> Mapping[TopicPartition, StoredOffset]:
        async with self.database.connection() as connection:
            return dict(await self.tables.positions(connection, "c"))


@pytest.fixture(params=["simulation", "PostgreSQL"])
def dsn(request: pytest.FixtureRequest) -> str | None:
    """None for the simulation's. Not asynchronous, for making a database runs a loop of its own."""
    if request.param == "simulation":
        return None
    return fresh_database(request.getfixturevalue("stack"), "dispatch")


@pytest.fixture
async def memory(dsn: str | None) -> AsyncIterator[Memory]:
    if dsn is None:
        world = World(1)
        yield Memory(
            SimulatedDatabase(Store(world, "s"), Machine(world, "process")), SIMULATED_TABLES
        )
        return
    await migrate(dsn, ("common.runtime",))
    pool = await create_pool(dsn, size=4, settings=server_settings("test"))
    yield Memory(PostgresDatabase(pool), POSTGRES_TABLES)
    await pool.close()


def record(offset: int, partition: TopicPartition = HERE) -> ConsumedRecord:
    return ConsumedRecord(*partition, offset, 1000 + offset, b"key", b"body", [("ce_id", b"1")])


async def test_a_position_moves_only_from_where_it_was_left(memory: Memory) -> None:
    first, second = StoredOffset(5, 100, KEY), StoredOffset(9, 200, UUID(int=8), 3)
    assert await memory.advance({HERE: None}, {HERE: first})
    assert not await memory.advance({HERE: None}, {HERE: second})
    assert not await memory.advance({HERE: second}, {HERE: StoredOffset(12, 300)})
    assert await memory.positions() == {HERE: first}
    assert await memory.advance({HERE: first}, {HERE: second})
    assert await memory.positions() == {HERE: second}


async def test_of_several_positions_one_that_was_moved_tells_false(memory: Memory) -> None:
    assert await memory.advance({HERE: None}, {HERE: StoredOffset(5, 100)})
    after = {HERE: StoredOffset(6, 101), THERE: StoredOffset(1, 101)}
    assert not await memory.advance({HERE: None, THERE: None}, after)


@pytest.mark.parametrize("commits", [True, False])
async def test_compare_and_set_waits_for_an_open_transaction(memory: Memory, commits: bool) -> None:
    was, theirs, ours = StoredOffset(5, 100), StoredOffset(6, 200), StoredOffset(7, 300)
    assert await memory.advance({HERE: None}, {HERE: was})
    locked, may_end = asyncio.Event(), asyncio.Event()

    async def other() -> None:
        async with memory.database.transaction() as connection:
            await memory.tables.advance_positions(connection, "c", {HERE: was}, {HERE: theirs})
            locked.set()
            await may_end.wait()
            if not commits:
                raise ZeroDivisionError

    holding = asyncio.create_task(other())
    await locked.wait()
    waiting = asyncio.create_task(memory.advance({HERE: was}, {HERE: ours}))
    done, _ = await asyncio.wait([waiting], timeout=0.3)
    assert not done
    may_end.set()
    await asyncio.gather(holding, return_exceptions=True)
    assert await waiting is not commits
    assert await memory.positions() == {HERE: theirs if commits else ours}


async def test_the_head_is_the_lowest_of_each_shard_and_acknowledging_is_exact(
    memory: Memory,
) -> None:
    message = [OutboxMessage(CASE_EVENTS, b"k%d" % n, packed({"a": "b"}), b"x") for n in range(40)]
    shards = [shard_of(CASE_EVENTS, p) for p in range(12)]
    for first in (0, 20):
        async with memory.database.transaction() as connection:
            await memory.tables.append_outbox(connection, batches_of(message[first : first + 20]))
    async with memory.database.connection() as connection:
        everything = await memory.tables.outbox_head(connection, shards, 100)
        heads = await memory.tables.outbox_head(connection, shards, 1)
    by_shard: dict[int, list[int]] = {}
    for row in everything:
        by_shard.setdefault(row.shard, []).append(row.id)
    assert all(ids == sorted(ids) for ids in by_shard.values())
    assert {row.shard: row.id for row in heads} == {s: ids[0] for s, ids in by_shard.items()}
    gone = everything[0]
    async with memory.database.transaction() as connection:
        await memory.tables.acknowledge(connection, [gone], {HERE: StoredOffset(7, 500)})
    async with memory.database.connection() as connection:
        left = await memory.tables.outbox_head(connection, shards, 100)
    assert [row.id for row in left] == [row.id for row in everything if row.id != gone.id]


async def test_an_older_acknowledgement_changes_nothing(memory: Memory) -> None:
    latest = StoredOffset(7, 500, writer_epoch=EPOCH)
    for stored in (latest, StoredOffset(4, 400), StoredOffset(6, 500)):
        async with memory.database.transaction() as connection:
            await memory.tables.acknowledge(connection, [], {HERE: stored})
    async with memory.database.connection() as connection:
        assert await memory.tables.acknowledged(connection) == {HERE: latest}


async def test_what_was_sent_in_another_writer_epoch_is_not_acknowledged(
    memory: Memory, dsn: str | None
) -> None:
    message = OutboxMessage(CASE_EVENTS, b"k", packed({"a": "b"}), b"x")
    async with memory.database.transaction() as connection:
        await memory.tables.append_outbox(connection, batches_of([message]))
        assert await memory.tables.writer_epoch(connection) == 0
        assert await memory.tables.begin_writer_epoch(connection, EPOCH - 1) == EPOCH
    async with memory.database.transaction() as connection:
        assert await memory.tables.begin_writer_epoch(connection, 3) == EPOCH + 1
    if dsn is not None:
        connection = await asyncpg.connect(dsn)
        applied = await applied_migrations.applied(connection)
        await connection.close()
        assert (8, 8) in [(each.version, each.oldest_build) for each in applied]
    shards = [shard_of(CASE_EVENTS, p) for p in range(12)]
    reached = {HERE: StoredOffset(7, 500, writer_epoch=EPOCH + 1)}
    for sent_in, left in ((EPOCH, 1), (EPOCH + 1, 0)):
        async with memory.database.transaction() as connection:
            rows = await memory.tables.outbox_head(connection, shards, 9)
            done = await memory.tables.acknowledge(connection, rows, reached, sent_in)
        async with memory.database.connection() as connection:
            assert len(await memory.tables.outbox_head(connection, shards, 9)) == left
            assert await memory.tables.acknowledged(connection) == (reached if done else {})


async def test_a_database_is_known_again_by_its_identity(memory: Memory) -> None:
    async with memory.database.connection() as connection:
        then, now = await memory.tables.identities(connection)
    assert then is None
    for noted in ("another", now):
        async with memory.database.transaction() as connection:
            await memory.tables.note_identity(connection, noted)
        async with memory.database.connection() as connection:
            assert await memory.tables.identities(connection) == (noted, now)


async def test_parked_records_come_in_order_and_go_one_by_one(memory: Memory) -> None:
    parked = [(KEY, 3, record(13)), (KEY, 2, record(12)), (KEY, 2, record(12))]
    async with memory.database.transaction() as connection:
        await memory.tables.insert_parked(connection, "c", parked, NOW)
    async with memory.database.transaction() as connection:
        found = await memory.tables.parked_of(connection, "c", [KEY])
        assert [each.offset for each in found[KEY]] == [12, 13]
        await memory.tables.delete_parked(connection, "c", [record(12)])
        assert [e.offset for e in (await memory.tables.parked_of(connection, "c", [KEY]))[KEY]] == [
            13
        ]


async def test_senders_gaps_and_dead_letters_are_kept_once(memory: Memory) -> None:
    sender = Sender(CASE_EVENTS, 1, "partner")
    for _ in range(2):
        async with memory.database.transaction() as connection:
            await memory.tables.stop_senders(connection, "c", {sender: "bad"}, NOW)
            await memory.tables.insert_offset_gaps(connection, "c", [OffsetGap(*HERE, 3, 5)])
            await memory.tables.insert_dead_letters(connection, "c", [(record(1), "bad")], NOW)
    async with memory.database.connection() as connection:
        assert await memory.tables.stopped_senders(connection, "c") == {sender}


async def test_what_is_held_back_comes_in_order_with_its_own_key_until_the_release(
    memory: Memory,
) -> None:
    ours, theirs = Sender(*HERE, ""), Sender(*THERE, "")
    assert await memory.advance({HERE: None}, {HERE: StoredOffset(20, 100)})
    async with memory.database.transaction() as connection:
        assert not await memory.tables.lock_stopped_sender(connection, "c", ours)
        await memory.tables.stop_senders(connection, "c", {ours: "bad", theirs: "bad"}, NOW)
        held = [record(13), record(12), record(12), record(14)._replace(key=None), record(1, THERE)]
        await memory.tables.insert_held_back(connection, "c", held, NOW)
    async with memory.database.transaction() as connection:
        assert await memory.tables.lock_stopped_sender(connection, "c", ours)
        found = await memory.tables.held_back(connection, "c", ours, 2)
        assert [tuple(each) for each in found] == [(record(12), True), (record(13), True)]
        await memory.tables.delete_parked(connection, "c", [each.record for each in found])
        found = await memory.tables.held_back(connection, "c", ours, 2)
        assert [each.record.key for each in found] == [None]
        await memory.tables.release_sender(connection, "c", ours)
    async with memory.database.connection() as connection:
        assert await memory.tables.stopped_senders(connection, "c") == {theirs}


async def test_a_release_and_the_consumers_batch_wait_for_each_other(memory: Memory) -> None:
    was, after = StoredOffset(5, 100), StoredOffset(6, 200)
    sender = Sender(*HERE, "partner")
    assert await memory.advance({HERE: None}, {HERE: was})
    async with memory.database.transaction() as connection:
        await memory.tables.stop_senders(connection, "c", {sender: "bad"}, NOW)
    locked, may_end = asyncio.Event(), asyncio.Event()

    async def release() -> None:
        async with memory.database.transaction() as connection:
            await memory.tables.lock_stopped_sender(connection, "c", sender)
            locked.set()
            await may_end.wait()
            await memory.tables.release_sender(connection, "c", sender)

    async def batch() -> set[Sender]:
        async with memory.database.transaction() as connection:
            assert await memory.tables.advance_positions(
                connection, "c", {HERE: was}, {HERE: after}
            )
            found: set[Sender] = await memory.tables.stopped_senders(connection, "c")
            return found

    releasing = asyncio.create_task(release())
    await locked.wait()
    handling = asyncio.create_task(batch())
    done, _ = await asyncio.wait([handling], timeout=0.3)
    assert not done
    may_end.set()
    await releasing
    assert await handling == set()
