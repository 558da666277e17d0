"""One try at a batch: state, outbox, dead letters and positions in one transaction."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import structlog

from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.dead_letter_limit import DeadLetterLimit, Sender
from lastmetre.common.kafka.failures import FencedError
from lastmetre.common.kafka.ports import ConsumerClient, Database, TopicPartition
from lastmetre.common.kafka.positions import OffsetGap, PartitionPositions, StoredOffset
from lastmetre.common.kafka.subscribers import Handler
from lastmetre.common.outbox.unit_of_work import PayloadCipher, UnitOfWork, WorkTables
from lastmetre.common.service.clock import Clock
from lastmetre.common.telemetry import metrics
from lastmetre.common.telemetry.traces import KAFKA_PROCESS, TRACES

log = structlog.get_logger()


class ConsumerTables(WorkTables, Protocol):
    """The core's tables that a consumer reads and writes."""

    async def positions(
        self, connection: Any, consumer: str, /
    ) -> Mapping[TopicPartition, StoredOffset]:
        """Every stored position of the consumer."""

    async def advance_positions(
        self,
        connection: Any,
        consumer: str,
        before: Mapping[TopicPartition, StoredOffset | None],
        after: Mapping[TopicPartition, StoredOffset],
        /,
    ) -> bool:
        """Compare with `before` and set to `after`; False if one is not where we left it."""

    async def insert_offset_gaps(
        self, connection: Any, consumer: str, gaps: Sequence[OffsetGap], /
    ) -> None:
        """Note offsets that hold no record, as evidence for the audit."""

    async def stopped_senders(self, connection: Any, consumer: str, /) -> set[Sender]:
        """The senders whose records are held back."""

    async def stop_senders(
        self, connection: Any, consumer: str, reasons: Mapping[Sender, str], now: datetime, /
    ) -> None:
        """Hold back what these send from now on, each for its reason."""


class Standing(NamedTuple):
    """Where a consumer stands, as the database has it."""

    positions: Mapping[TopicPartition, StoredOffset]
    stopped_senders: set[Sender]


class BatchTransaction:
    """What one consumer does in a transaction for records of its partitions."""

    def __init__(
        self,
        consumer: str,
        handle: Handler,
        positions: PartitionPositions,
        *,
        service: str,
        database: Database,
        tables: ConsumerTables,
        clock: Clock,
        cipher: PayloadCipher,
    ) -> None:
        self.stopped_senders: set[Sender] = set()
        self._consumer = consumer
        self._handle = handle
        self._positions = positions
        self._service = service
        self._database = database
        self._tables = tables
        self._clock = clock
        self._cipher = cipher
        self._limit = DeadLetterLimit()

    async def standing(self) -> Standing:
        """Where the consumer stands."""
        async with self._database.connection() as connection:
            return Standing(
                await self._tables.positions(connection, self._consumer),
                await self._tables.stopped_senders(connection, self._consumer),
            )

    def know_stopped(self, senders: set[Sender]) -> None:
        """Keep in mind those of the assigned partitions."""
        assigned = self._positions.assigned
        self.stopped_senders = {each for each in senders if each[:2] in assigned}

    async def run(
        self, client: ConsumerClient, records: Sequence[ConsumedRecord], reason: str | None
    ) -> bool:
        """Handle `records`, or make the one of them a dead letter for `reason`.

        Returns whether something waits in the outbox. Raises FencedError where a position is not
        where we left it, and whatever the handler, the database or the broker raises.
        """
        if not TRACES.on:
            return await self._run(client, records, reason)
        contexts = (each.traceparent for each in records)
        name = f"process {self._service}.{self._consumer}"
        with TRACES.batch(name, "consumer", contexts, KAFKA_PROCESS) as spans:
            traced = [each._replace(span=span) for each, span in zip(records, spans, strict=True)]
            return await self._run(client, traced, reason)

    async def _run(
        self, client: ConsumerClient, records: Sequence[ConsumedRecord], reason: str | None
    ) -> bool:
        began = asyncio.get_running_loop().time()
        after, gaps, in_force = self._positions.advanced(records)
        if len(in_force) < len(records):
            self._say_not_in_force(len(records) - len(in_force))
        empty = await self._still_kept(client, gaps) if gaps else []
        before = {partition: self._positions.stored(partition) for partition in after}
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if not await self._tables.advance_positions(connection, self._consumer, before, after):
                raise FencedError
            work = UnitOfWork(
                connection,
                self._tables,
                service=self._service,
                consumer=self._consumer,
                now=now,
                cipher=self._cipher,
            )
            await self._do(work, in_force, reason)
            limit = self._limit.copy()
            over = limit.over(records, work.dead)
            if over:
                await self._tables.stop_senders(connection, self._consumer, over, now)
            await work.flush()
            if empty:
                await self._tables.insert_offset_gaps(connection, self._consumer, empty)
        self._positions.advance(after)
        self._limit = limit
        self.stopped_senders.update(over)
        work.committed()
        labels = self._service, self._consumer
        metrics.CONSUMED.labels(*labels).inc(len(records))
        took = asyncio.get_running_loop().time() - began
        metrics.BATCHES.labels(*labels).observe(took, TRACES.exemplar())
        if work.dead_count:
            metrics.DEAD_LETTERS.labels(*labels).inc(work.dead_count)
        return bool(work.sends)

    def _say_not_in_force(self, records: int) -> None:
        log.warning(
            "passed over: the beginning of a writer epoch, or what was written in one before it",
            consumer=self._consumer,
            records=records,
        )

    async def _do(
        self, work: UnitOfWork, records: Sequence[ConsumedRecord], reason: str | None
    ) -> None:
        if reason is not None:
            work.dead_letter(records[0], reason)
            return
        if self.stopped_senders:
            # Asked anew, now that the positions are locked: any process may have released one.
            held = await self._tables.stopped_senders(work.connection, self._consumer)
            for record in records:
                if Sender.of(record) in held:
                    work.hold_back(record)
            records = [each for each in records if Sender.of(each) not in held]
        if records:
            await self._handle(work, records)

    async def _still_kept(
        self, client: ConsumerClient, gaps: Sequence[OffsetGap]
    ) -> list[OffsetGap]:
        """Those of `gaps` where nothing stood: marks of transactions, and what these took back.

        In the others there was something once, which the broker deleted before we read it.
        """
        partitions = {gap: TopicPartition(gap.topic, gap.partition) for gap in gaps}
        first = await client.beginning_offsets(set(partitions.values()))
        empty = [gap for gap in gaps if gap.first >= first[partitions[gap]]]
        for gap in gaps:
            # A new reader begins at what is kept: it has missed nothing.
            if gap not in empty and gap.first > 0:
                log.warning("records are gone", consumer=self._consumer, **gap._asdict())
                gone = gap.next_offset - gap.first
                metrics.RECORDS_GONE.labels(self._service, self._consumer).inc(gone)
        return empty
