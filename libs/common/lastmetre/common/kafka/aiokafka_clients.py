"""The core's Kafka ports, by aiokafka. Topics carry the city's prefix on the broker only."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import (
    CorruptRecordException,
    GroupAuthorizationFailedError,
    IllegalStateError,
    KafkaError,
)

from lastmetre.common.kafka import lenient_headers
from lastmetre.common.kafka.codec import ConsumedRecord, kafka_headers
from lastmetre.common.kafka.ports import (
    Acknowledgement,
    AssignmentListener,
    BrokerError,
    ClientSpent,
    OffsetRange,
    TopicPartition,
)
from lastmetre.common.kafka.topic_ids import TopicIds

ANSWER_SECONDS: Final = 10.0
START_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 3.0
POLL_MILLISECONDS: Final = 500
POLLS: Final = 20

_BROKER_ERRORS: Final = (KafkaError, OSError, TimeoutError, IllegalStateError)
_UNREADABLE: Final = (UnicodeDecodeError, CorruptRecordException)
_OF_THE_GROUP: Final = (GroupAuthorizationFailedError, KafkaError)
"""What ends aiokafka's heartbeat, these very kinds alone: it begins no other one, and tells of the
end of that one for ever."""


async def _answer(call: Awaitable[Any], within: float = ANSWER_SECONDS) -> Any:
    """What the broker says, in time; BrokerError for whatever it or the way to it raises."""
    try:
        async with asyncio.timeout(within):
            return await call
    except _BROKER_ERRORS as error:
        raise BrokerError(f"{type(error).__name__}: {error}") from error


def consumed(prefix: str, raw: Any) -> ConsumedRecord:
    """aiokafka's record as ours."""
    return ConsumedRecord(
        raw.topic.removeprefix(prefix),
        raw.partition,
        raw.offset,
        raw.timestamp,
        raw.key,
        raw.value,
        raw.headers,
    )


class _Prefixed:
    """Names of partitions here and on the broker."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def there(self, partitions: Collection[TopicPartition]) -> list[KafkaPartition]:
        return [KafkaPartition(self._prefix + each.topic, each.partition) for each in partitions]

    def here(self, partition: KafkaPartition) -> TopicPartition:
        return TopicPartition(partition.topic.removeprefix(self._prefix), partition.partition)


class _Listener(ConsumerRebalanceListener):
    def __init__(self, names: _Prefixed, listener: AssignmentListener) -> None:
        self._names = names
        self._listener = listener

    async def on_partitions_revoked(self, revoked: set[KafkaPartition]) -> None:
        await self._listener.on_revoked()

    async def on_partitions_assigned(self, assigned: set[KafkaPartition]) -> None:
        await self._listener.on_assigned({self._names.here(each) for each in assigned})


async def _offsets(
    names: _Prefixed, ask: Callable[..., Awaitable[Any]], partitions: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    found = await _answer(ask(names.there(partitions)))
    return {names.here(partition): offset for partition, offset in found.items()}


class GroupConsumer:
    """A `ConsumerClient`. `build` makes the aiokafka consumer, with its group."""

    def __init__(
        self,
        build: Callable[[], AIOKafkaConsumer],
        topics: Collection[str],
        prefix: str,
        topic_ids: TopicIds,
    ) -> None:
        lenient_headers.install()
        self._names = _Prefixed(prefix)
        self._prefix = prefix
        self._topic_ids = topic_ids
        self._topics = [prefix + topic for topic in topics]
        self._consumer = build()

    async def start(self, listener: AssignmentListener) -> None:
        """Join the group."""
        self._consumer.subscribe(self._topics, listener=_Listener(self._names, listener))
        await _answer(self._consumer.start(), START_SECONDS)

    async def poll(
        self, max_records: int, timeout_seconds: float
    ) -> Mapping[TopicPartition, Sequence[ConsumedRecord]]:
        """What has been fetched; see the port."""
        try:
            fetched = await self._consumer.getmany(
                timeout_ms=int(timeout_seconds * 1000), max_records=max_records
            )
        except (*_BROKER_ERRORS, *_UNREADABLE) as error:
            kind = ClientSpent if type(error) in _OF_THE_GROUP else BrokerError
            raise kind(f"{type(error).__name__}: {error}") from error
        prefix = self._prefix
        return {
            self._names.here(partition): [consumed(prefix, raw) for raw in records]
            for partition, records in fetched.items()
        }

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from `offset`."""
        (there,) = self._names.there([partition])
        if there in self._consumer.assignment():
            self._consumer.seek(there, offset)

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Hand out nothing of these."""
        assigned = self._consumer.assignment()
        self._consumer.pause(*(p for p in self._names.there(partitions) if p in assigned))

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        """Hand them out again."""
        assigned = self._consumer.assignment()
        self._consumer.resume(*(p for p in self._names.there(partitions) if p in assigned))

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """For lag tools only."""
        there = self._names.there(list(offsets))
        await _answer(self._consumer.commit(dict(zip(there, offsets.values(), strict=True))))

    async def beginning_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The first offset that each partition still holds."""
        return await _offsets(self._names, self._consumer.beginning_offsets, partitions)

    async def end_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The offset after each partition's last record."""
        return await _offsets(self._names, self._consumer.end_offsets, partitions)

    async def topic_ids(self) -> Mapping[str, UUID]:
        """The id of each topic that is read and exists."""
        found = await self._topic_ids.of(self._topics)
        return {name.removeprefix(self._prefix): topic_id for name, topic_id in found.items()}

    async def close(self) -> None:
        """Leave the group."""
        await _closed(self._consumer.stop())


async def _closed(call: Awaitable[Any]) -> None:
    with suppress(*_BROKER_ERRORS):
        async with asyncio.timeout(CLOSE_SECONDS):
            await call


class OutboxProducer:
    """A `ProducerClient`. Once it failed it is replaced; closing it drops what it still held.

    `acknowledged` is told each batch's append time, as Kafka's clock has it, seconds since 1970.
    """

    def __init__(
        self, producer: AIOKafkaProducer, prefix: str, acknowledged: Callable[[float], None]
    ) -> None:
        self._producer = producer
        self._prefix = prefix
        self._acknowledged = acknowledged

    async def send(
        self, partition: TopicPartition, records: Sequence[tuple[bytes, bytes, bytes | None]]
    ) -> Acknowledgement:
        """One batch; waits for its acknowledgement as long as it takes."""
        batch = self._producer.create_batch()
        for key, headers, body in records:
            added = batch.append(
                key=key, value=body, timestamp=None, headers=kafka_headers(headers)
            )
            if added is None:
                raise RuntimeError(f"{len(records)} records do not fit a batch of {partition}")
        try:
            pending = await self._producer.send_batch(
                batch, self._prefix + partition.topic, partition=partition.partition
            )
            answer = await pending
        except _BROKER_ERRORS as error:
            raise BrokerError(f"{type(error).__name__}: {error}") from error
        self._acknowledged(answer.timestamp / 1000)
        return Acknowledgement(answer.offset, answer.timestamp)

    async def close(self) -> None:
        """Without its connection first, for it would flush what is to be sent again in order."""
        await _closed(self._producer.client.close())
        await _closed(self._producer.stop())


async def started(
    producer: AIOKafkaProducer, prefix: str, acknowledged: Callable[[float], None]
) -> OutboxProducer:
    """A producer that is connected; raises BrokerError."""
    ours = OutboxProducer(producer, prefix, acknowledged)
    try:
        await _answer(producer.start(), START_SECONDS)
    except BaseException:
        await ours.close()
        raise
    return ours


class PartitionReader:
    """A `LogReader`. Its consumer has no group, and reads what is committed only."""

    def __init__(
        self, consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition], prefix: str
    ) -> None:
        lenient_headers.install()
        self._consumer = consumer
        self._prefix = prefix
        self._names = _Prefixed(prefix)
        self._at: dict[TopicPartition, int] = {}
        if partitions:
            # Assigned once and for all: another assignment would wait for the long poll of the one
            # before it, and each topic that is not known from the start asks for metadata alone.
            consumer.assign(self._names.there(partitions))
            consumer.pause(*consumer.assignment())

    async def start(self) -> None:
        """Connect."""
        await _answer(self._start(), START_SECONDS)

    async def _start(self) -> None:
        await self._consumer.start()
        for each in self._consumer.assignment():
            # Paused, it reads nothing there; without a position it would go on asking for one.
            self._consumer.seek(each, 0)

    async def end_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The offset after each partition's last record."""
        return await _offsets(self._names, self._consumer.end_offsets, partitions)

    async def beginning_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The first offset that each partition still holds."""
        return await _offsets(self._names, self._consumer.beginning_offsets, partitions)

    async def read(
        self, wanted: Mapping[TopicPartition, OffsetRange], max_records: int
    ) -> Mapping[TopicPartition, Sequence[ConsumedRecord]]:
        """Records of some of these partitions."""
        ends = self._turn_to(wanted)
        for _ in range(POLLS):
            fetched = await _answer(
                self._consumer.getmany(*ends, timeout_ms=POLL_MILLISECONDS, max_records=max_records)
            )
            found: dict[TopicPartition, Sequence[ConsumedRecord]] = {}
            for there, raws in fetched.items():
                here = self._names.here(there)
                self._at[here] = raws[-1].offset + 1
                found[here] = [
                    consumed(self._prefix, raw) for raw in raws if raw.offset < ends[there]
                ]
            # Nothing but marks of transactions may stand before the end.
            for there, end in ends.items() if not found else ():
                if await _answer(self._consumer.position(there)) >= end:
                    found[self._names.here(there)] = ()
            if found:
                return found
        raise BrokerError(f"nothing to read in {', '.join(sorted(map(str, wanted)))}")

    def _turn_to(self, wanted: Mapping[TopicPartition, OffsetRange]) -> dict[KafkaPartition, int]:
        """Fetch these partitions only, from where it is wanted; returns the end of each."""
        ends: dict[KafkaPartition, int] = {}
        for here, there in zip(wanted, self._names.there(wanted), strict=True):
            if self._at.get(here) != wanted[here].first:
                self._consumer.seek(there, wanted[here].first)
                self._at[here] = wanted[here].first
            ends[there] = wanted[here].end
        self._consumer.resume(*ends)
        self._consumer.pause(*(self._consumer.assignment() - ends.keys()))
        return ends

    async def close(self) -> None:
        """Let go of the broker."""
        await _closed(self._consumer.stop())


@asynccontextmanager
async def log_reader(
    build: Callable[[], AIOKafkaConsumer], partitions: Collection[TopicPartition], prefix: str
) -> AsyncIterator[PartitionReader]:
    """A reader of these partitions that is connected; raises BrokerError."""
    reader = PartitionReader(build(), partitions, prefix)
    try:
        await reader.start()
        yield reader
    finally:
        await reader.close()
