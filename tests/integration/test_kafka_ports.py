"""What the core relies on in Kafka: the same of a real broker, and of the simulation's fake."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from lastmetre.common.contracts.topics import CASE_EVENTS, TOPICS
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.clients import producer as make_producer
from lastmetre.common.kafka.codec import ConsumedRecord, packed
from lastmetre.common.kafka.ports import (
    ConsumerClient,
    LogReader,
    OffsetRange,
    TopicPartition,
)
from lastmetre.common.kafka.topics import apply_topics
from lastmetre.common.service.kafka_clients import KafkaClients
from tests.simulation.broker import Broker, SimulatedLogReader, SimulatedProducer
from tests.simulation.consumer import SimulatedConsumer
from tests.simulation.world import Machine, World

HERE = TopicPartition(CASE_EVENTS, 1)
THERE = TopicPartition(CASE_EVENTS, 2)
NOWHERE = TopicPartition(CASE_EVENTS, 0)


@dataclass
class Log:
    """Something to write to and to read from."""

    producer: Any
    reader: LogReader
    consumer: Callable[[], ConsumerClient]
    make_anew: Callable[[], Awaitable[None]]
    """Deletes the topic, and creates it again."""
    marks: Callable[[TopicPartition], Awaitable[None]]
    """Appends offsets that hold no record: a transaction that was taken back."""


async def appended_mark(broker: Broker, partition: TopicPartition) -> None:
    """As the simulation has it."""
    broker.logs[partition].append_mark()


async def aborted(access: KafkaAccess, prefix: str, partition: TopicPartition) -> None:
    """As Kafka has it: a record that nobody reads, and a mark."""
    producer = make_producer(access, "partner", transactional_id=prefix)
    await producer.start()
    try:
        # The mark is written after the abort is answered, but before the next one begins.
        for _ in range(2):
            await producer.begin_transaction()
            await producer.send_and_wait(
                prefix + partition.topic, b"taken back", partition=partition.partition
            )
            await producer.abort_transaction()
    finally:
        await producer.stop()


@pytest.fixture(params=["simulation", "Kafka"])
async def kafka(request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    if request.param == "simulation":
        world = World(1)
        broker, machine = Broker(world, [CASE_EVENTS]), Machine(world, "process")

        async def recreate() -> None:
            broker.recreate(CASE_EVENTS, noticed=False)

        yield Log(
            SimulatedProducer(broker, machine),
            SimulatedLogReader(broker, machine),
            lambda: SimulatedConsumer(broker, machine, "group", [CASE_EVENTS]),
            recreate,
            lambda partition: appended_mark(broker, partition),
        )
        return
    bootstrap = request.getfixturevalue("stack").endpoints.bootstrap_servers
    prefix = f"t{secrets.token_hex(4)}."
    await apply_topics(bootstrap, prefix, development=True)
    access = KafkaAccess.plaintext(bootstrap)
    clients = KafkaClients("dispatch", access, prefix)
    producer = await clients.producer()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()

    async def delete_and_apply() -> None:
        await admin.delete_topics([prefix + CASE_EVENTS])
        while prefix + CASE_EVENTS in await admin.list_topics():
            pass  # deleted, but not everywhere yet
        await apply_topics(bootstrap, prefix, development=True)

    async with clients.open_log([CASE_EVENTS]) as reader:
        yield Log(
            producer,
            reader,
            lambda: clients.consumer("c", [CASE_EVENTS]),
            delete_and_apply,
            lambda partition: aborted(access, prefix, partition),
        )
    await producer.close()
    await clients.close()
    await admin.delete_topics([prefix + topic.name for topic in TOPICS])
    await admin.close()


async def everything(
    reader: LogReader, ranges: Mapping[TopicPartition, OffsetRange], most: int = 10
) -> dict[TopicPartition, list[ConsumedRecord]]:
    """All that the ranges hold, read as catching up does."""
    found: dict[TopicPartition, list[ConsumedRecord]] = {each: [] for each in ranges}
    left = dict(ranges)
    while left:
        for partition, records in (await reader.read(left, most)).items():
            found[partition] += records
            first = records[-1].offset + 1 if records else left[partition].end
            left[partition] = OffsetRange(first, left[partition].end)
        left = {each: of for each, of in left.items() if of.first < of.end}
    return found


def outgoing(*bodies: bytes) -> list[tuple[bytes, bytes, bytes | None]]:
    return [(b"key", packed({"name": "value"}), body) for body in bodies]


async def test_an_acknowledgement_tells_offset_and_append_time(kafka: Log) -> None:
    first = await kafka.producer.send(HERE, outgoing(b"0", b"1"))
    second = await kafka.producer.send(HERE, outgoing(b"2"))
    assert (first.offset, second.offset) == (0, 2)
    assert first.appended_at <= second.appended_at
    records = await everything(kafka.reader, {HERE: OffsetRange(0, 3)})
    assert [(each.offset, each.value) for each in records[HERE]] == [
        (0, b"0"), (1, b"1"), (2, b"2")
    ]  # fmt: skip
    assert [each.timestamp for each in records[HERE]] == [
        first.appended_at,
        first.appended_at,
        second.appended_at,
    ]
    assert records[HERE][0].headers[0] == ("name", b"value")


async def test_a_reader_stays_within_its_bounds(kafka: Log) -> None:
    await kafka.producer.send(HERE, outgoing(*(b"%d" % number for number in range(10))))
    assert await kafka.reader.end_offsets([HERE, THERE]) == {HERE: 10, THERE: 0}
    assert await kafka.reader.beginning_offsets([HERE]) == {HERE: 0}
    for first, end, most in ((3, 6, 100), (8, 10, 1), (9, 10, 1), (0, 10, 3)):
        found = await kafka.reader.read({HERE: OffsetRange(first, end)}, most)
        assert [each.offset for each in found[HERE]] == list(range(first, min(end, first + most)))


async def test_partitions_are_read_together_each_in_order_to_its_own_end(kafka: Log) -> None:
    for partition, count in ((HERE, 30), (THERE, 5), (NOWHERE, 1)):
        await kafka.producer.send(partition, outgoing(*(b"%d" % each for each in range(count))))
    ranges = {HERE: OffsetRange(7, 29), THERE: OffsetRange(0, 5)}
    for _ in range(2):  # again from the first: each range begins where it is wanted
        found = await everything(kafka.reader, ranges, most=4)
        assert {partition: [each.offset for each in found[partition]] for partition in found} == {
            HERE: list(range(7, 29)), THERE: list(range(5))
        }  # fmt: skip


async def test_where_marks_alone_are_left_nothing_is(kafka: Log) -> None:
    await kafka.producer.send(HERE, outgoing(b"0"))
    await kafka.marks(HERE)
    end = (await kafka.reader.end_offsets([HERE]))[HERE]
    assert end > 1
    found = await everything(kafka.reader, {HERE: OffsetRange(0, end)})
    assert [each.offset for each in found[HERE]] == [0]


class Listener:
    """Pauses what it is given, as the core does."""

    def __init__(self, client: ConsumerClient) -> None:
        self._client = client
        self.assigned: asyncio.Future[set[TopicPartition]] = (
            asyncio.get_running_loop().create_future()
        )

    async def on_assigned(self, assigned: set[TopicPartition]) -> None:
        self._client.pause(assigned)
        if not self.assigned.done():
            self.assigned.set_result(assigned)

    async def on_revoked(self) -> None:
        pass


async def offsets(client: ConsumerClient, wanted: int) -> list[int]:
    """Of the records handed out until there are so many."""
    found: list[int] = []
    async with asyncio.timeout(20):
        while len(found) < wanted:
            for records in (await client.poll(100, 0.5)).values():
                found += [each.offset for each in records]
    return found


async def test_a_member_hands_out_nothing_while_paused_and_reads_where_it_sought(
    kafka: Log,
) -> None:
    await kafka.producer.send(HERE, outgoing(*(b"%d" % number for number in range(6))))
    client = kafka.consumer()
    listener = Listener(client)
    await client.start(listener)
    try:
        assigned = await asyncio.wait_for(listener.assigned, 30)
        assert HERE in assigned
        assert await client.poll(100, 0.5) == {}
        client.seek(HERE, 4)
        client.resume(assigned)
        assert await offsets(client, 2) == [4, 5]
        client.seek(HERE, 1)
        assert (await offsets(client, 5))[:5] == [1, 2, 3, 4, 5]
        client.seek(HERE, 0)
        client.pause([HERE])
        assert await client.poll(100, 0.5) == {}
        client.resume([HERE])
        assert await offsets(client, 6) == [0, 1, 2, 3, 4, 5]
        assert (await client.end_offsets([HERE]))[HERE] == 6
        await client.commit({HERE: 6})
    finally:
        await client.close()


async def test_a_topic_made_anew_has_another_id(kafka: Log) -> None:
    client = kafka.consumer()
    try:
        first = await client.topic_ids()
        assert set(first) == {CASE_EVENTS}
        assert await client.topic_ids() == first
        await kafka.make_anew()
        async with asyncio.timeout(30):
            while not (now := await client.topic_ids()) or now == first:
                pass  # the broker that is asked hears of it a little later
        assert set(now) == {CASE_EVENTS}
    finally:
        await client.close()
