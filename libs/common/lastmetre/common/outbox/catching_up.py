"""Catching up with our own topics before anything else begins: the log is the truth.

A database may have gone back (restored, or a standby was promoted), and a crash may have kept an
acknowledgement from being noted. So what stands in the log beyond what was acknowledged is read:
rows of the outbox that are there already are forgotten, and what the database has never heard of is
taken in by the service (`Adopt`), which sends nothing. After that a new writer epoch begins in each
partition of a lasting topic: what older processes still have under way is not in force.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import structlog

from lastmetre.common.contracts.topics import PARTITIONS
from lastmetre.common.kafka.codec import ConsumedRecord, kafka_headers
from lastmetre.common.kafka.ports import (
    Database,
    LogReader,
    OffsetRange,
    ProducerClient,
    TopicPartition,
)
from lastmetre.common.kafka.positions import StoredOffset
from lastmetre.common.kafka.writer_epochs import WRITER_EPOCH, WriterEpochs, epoch_began
from lastmetre.common.outbox.messages import OutboxBatch, shard_of
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.service.clock import Clock

log = structlog.get_logger()

READ_AT_ONCE: Final = 1000
SEND_SECONDS: Final = 30.0
ROWS_LOOKED_AT: Final = 2000

Adopt = Callable[[UnitOfWork, Sequence[ConsumedRecord]], Awaitable[int]]
"""Takes in records of an own topic, in the order of their partition, within one transaction.

What the database knows already changes nothing; nothing is sent. Returns how many were new.
"""


class LogBehind(Exception):
    """The log lacks what the database has committed to it: `lastmetre recover` brings it back."""


class Identities(NamedTuple):
    """Of a database; another one means that it may have gone back."""

    then: str | None
    """When its service caught up last; None: never."""
    now: str


class CatchUpTables(Protocol):
    """The core's tables that catching up reads and writes."""

    async def acknowledged(self, connection: Any, /) -> Mapping[TopicPartition, StoredOffset]:
        """How far each partition has been acknowledged."""

    async def outbox_head(
        self, connection: Any, shards: Sequence[int], limit: int, /
    ) -> Sequence[OutboxBatch]:
        """Of each of these shards the lowest ids."""

    async def acknowledge(
        self,
        connection: Any,
        sent: Sequence[OutboxBatch],
        reached: Mapping[TopicPartition, StoredOffset],
        /,
    ) -> bool:
        """Forget these rows and note how far their partitions have come."""

    async def begin_writer_epoch(self, connection: Any, seen: int, /) -> int:
        """One above the last one and above `seen`."""

    async def identities(self, connection: Any, /) -> Identities:
        """Whether this database is the one in which its service caught up last."""

    async def note_identity(self, connection: Any, now: str, /) -> None:
        """The service has caught up in this one."""


class CaughtUp(NamedTuple):
    """What catching up found."""

    read: int
    acknowledged: int
    adopted: int

    def __add__(self, other: object) -> "CaughtUp":
        """Both together."""
        assert isinstance(other, CaughtUp)
        return CaughtUp(*map(sum, zip(self, other, strict=True)))


@dataclass(slots=True)
class _Unread:
    """A partition that holds more than was acknowledged."""

    acknowledged: StoredOffset | None
    """None once the record before it was found to be the same one, or another."""
    beginning: int
    first: int
    end: int
    writer_epoch: int = 0
    """The highest one before `first`."""
    adopted: int = 0


class CatchingUp:
    """One service's catching up. The caller holds the service's lock for it."""

    def __init__(
        self,
        *,
        database: Database,
        tables: CatchUpTables,
        reader: LogReader,
        connect: Callable[[], Awaitable[ProducerClient]],
        adopt: Mapping[str, Adopt],
        lasting: Collection[str],
        unit_of_work: Callable[[Any], UnitOfWork],
        clock: Clock,
    ) -> None:
        self._database = database
        self._tables = tables
        self._reader = reader
        self._connect = connect
        self._adopt = adopt
        self._lasting = lasting
        self._unit_of_work = unit_of_work
        self._clock = clock

    async def run(self) -> CaughtUp:
        """Read what stands beyond the acknowledged; one request for ends if there is nothing.

        Raises BrokerError, whatever the database raises, and LogBehind for a lasting topic.
        """
        found = await self._read_on()
        if lasting := [each for each in self._adopt if each in self._lasting]:
            async with self._database.connection() as connection:
                then, now = await self._tables.identities(connection)
            if now != then:
                # A database of a build before this one has no identity, and may know its log.
                if then is not None or found.adopted:
                    await self._begin_epochs(lasting)
                    found += await self._read_on()
                async with self._database.transaction() as connection:
                    await self._tables.note_identity(connection, now)
        if found.read:
            log.info("caught up with the log", **found._asdict())
        return found

    async def _begin_epochs(self, topics: Collection[str]) -> None:
        """In each of their partitions a higher one than any that stands there.

        It is noted first, and who was sending in another one sends again: the caller's lock may be
        lost, and another process have caught up meanwhile. Milliseconds since 1970, or more: what a
        database that has gone back as well began, and nobody has seen yet, is another one.
        """
        async with self._database.transaction() as connection:
            known = await self._tables.acknowledged(connection)
            now = int(self._clock.now().timestamp() * 1000)
            seen = max([now, *(each.writer_epoch for each in known.values())])
            epoch = await self._tables.begin_writer_epoch(connection, seen)
        producer = await self._connect()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                for partition in (TopicPartition(t, p) for t in topics for p in range(PARTITIONS)):
                    await producer.send(partition, [epoch_began(str(partition), epoch)])
        finally:
            await producer.close()
        log.warning("the database may have gone back: a new writer epoch begins", epoch=epoch)

    async def _read_on(self) -> CaughtUp:
        unread = await self._unread()
        found = CaughtUp(0, 0, 0)
        while unread:
            wanted = {each: OffsetRange(at.first, at.end) for each, at in unread.items()}
            read = await self._reader.read(wanted, READ_AT_ONCE)
            for partition, records in read.items():
                one = await self._partition(partition, unread[partition], records)
                found += one
                if not records or unread[partition].first >= unread[partition].end:
                    self._say_gone_back(partition, unread.pop(partition).adopted)
        return found

    async def _unread(self) -> dict[TopicPartition, _Unread]:
        """The partitions to read, each from the record that was acknowledged last."""
        partitions = [TopicPartition(t, p) for t in self._adopt for p in range(PARTITIONS)]
        async with self._database.connection() as connection:
            known = await self._tables.acknowledged(connection)
        ends = {
            partition: end
            for partition, end in (await self._reader.end_offsets(partitions)).items()
            if end != (known[partition].next_offset if partition in known else 0)
        }
        if not ends:
            return {}
        beginnings = await self._reader.beginning_offsets(ends)
        unread = {}
        for partition, end in ends.items():
            before, beginning = known.get(partition), beginnings[partition]
            if before is not None and end < before.next_offset:
                self._say_behind(partition, before, end)
                before = None
            first = max(before.next_offset - 1, beginning) if before else beginning
            if first < end:
                epoch = before.writer_epoch if before else 0
                unread[partition] = _Unread(before, beginning, first, end, epoch)
        return unread

    async def _partition(
        self, partition: TopicPartition, unread: _Unread, records: Sequence[ConsumedRecord]
    ) -> CaughtUp:
        """Take in what was read of a partition, and move on."""
        before, unread.acknowledged = unread.acknowledged, None
        if records and before is not None and records[0].offset < before.next_offset:
            if records[0].timestamp != before.appended_at:
                self._say_behind(partition, before, unread.end)
                unread.first, unread.writer_epoch = unread.beginning, 0
                return CaughtUp(0, 0, 0)
            unread.first, records = before.next_offset, records[1:]
        if not records:
            return CaughtUp(0, 0, 0)
        sent, new = await self._take_in(partition, unread, records)
        unread.first, unread.adopted = records[-1].offset + 1, unread.adopted + new
        return CaughtUp(len(records), sent, new)

    def _say_behind(self, partition: TopicPartition, before: StoredOffset, end: int) -> None:
        log.error(
            "the log is behind its database",
            partition=str(partition),
            acknowledged=before.next_offset,
            end=end,
        )
        if partition.topic in self._lasting:
            raise LogBehind(f"{partition} ends at {end}, {before.next_offset} was acknowledged")

    def _say_gone_back(self, partition: TopicPartition, adopted: int) -> None:
        if adopted:
            log.error(
                "the database did not know what stands in the log: it has gone back",
                partition=str(partition),
                adopted=adopted,
            )

    async def _take_in(
        self, partition: TopicPartition, unread: _Unread, records: Sequence[ConsumedRecord]
    ) -> tuple[int, int]:
        """One transaction; returns how many rows of the outbox were there, and what was new."""
        epochs = WriterEpochs({partition.partition: unread.writer_epoch})
        in_force = epochs.in_force(records) if partition.topic in self._lasting else records
        epoch = epochs.of(partition.partition)
        async with self._database.transaction() as connection:
            rows = await self._tables.outbox_head(
                connection, [shard_of(*partition)], ROWS_LOOKED_AT
            )
            sent, unknown = _compare(rows, in_force)
            new = 0
            if unknown:
                work = self._unit_of_work(connection)
                new = await self._adopt[partition.topic](work, unknown)
                await work.flush()
            last = records[-1]
            reached = StoredOffset(last.offset + 1, last.timestamp, writer_epoch=epoch)
            await self._tables.acknowledge(connection, sent, {partition: reached})
        unread.writer_epoch = epoch
        return len(sent), new


def _compare(
    rows: Iterable[OutboxBatch], records: Sequence[ConsumedRecord]
) -> tuple[list[OutboxBatch], list[ConsumedRecord]]:
    """The rows whose every message stands among the records, and the records of no such row."""
    there = {_identity(record.key or b"", record.headers, record.value) for record in records}
    sent: list[OutboxBatch] = []
    ours: set[tuple[object, ...]] = set()
    for row in rows:
        wanted = {
            _identity(key, kafka_headers(headers), body) for key, headers, body in row.messages
        }
        ours |= wanted
        if wanted <= there:
            sent.append(row)
    unknown = [
        record
        for record in records
        if _identity(record.key or b"", record.headers, record.value) not in ours
    ]
    return sent, unknown


def _identity(
    key: bytes, headers: Iterable[tuple[str, bytes | None]], body: bytes | None
) -> tuple[object, ...]:
    return key, tuple(each for each in headers if each[0] != WRITER_EPOCH), body
