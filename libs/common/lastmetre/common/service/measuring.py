"""Gauges that move while things are stuck: measured apart from the loops that they are about."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from lastmetre.common.contracts.topics import PARTITIONS
from lastmetre.common.kafka.ports import BrokerError, LogReader, TopicPartition
from lastmetre.common.outbox.relay import Relay
from lastmetre.common.postgres import dead_letter_table, outbox_table, position_table
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.telemetry import metrics

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Pool, PostgresDatabase

log = structlog.get_logger()

EVERY_SECONDS: Final = 2.0
SILENT_SECONDS: Final = 8.0
OUTBOX_LIMIT: Final = 100_000
SEEN_ENDS: Final = 64


class Answers:
    """Whether somebody who is asked every two seconds answers."""

    def __init__(self) -> None:
        self._error: str | None = "not asked yet"
        self._came_at = 0.0

    def came(self) -> None:
        """There was an answer."""
        self._error = None
        self._came_at = asyncio.get_running_loop().time()

    def failed(self, error: str) -> None:
        """There was an error instead."""
        self._error = error

    @property
    def missing(self) -> str | None:
        """Why there are none; None if there are. No answer is told, too, while it is waited for: a
        connection may stay open to nobody for a minute."""
        silent = asyncio.get_running_loop().time() - self._came_at
        if self._error is None and silent > SILENT_SECONDS:
            return f"no answer for {silent:.0f} s"
        return self._error


async def measure_process(
    service: str,
    checks: Callable[[], Mapping[str, Sequence[str]]],
    pools: Mapping[str, "Pool"],
) -> None:
    """What `/readyz?all` says, and connections, as gauges; until cancelled. Waits for nobody."""
    while True:
        for check, missing in checks().items():
            metrics.CHECK_FAILING.labels(service, check).set(bool(missing))
        for name, pool in pools.items():
            idle = pool.get_idle_size()
            metrics.CONNECTIONS.labels(service, name, "idle").set(idle)
            metrics.CONNECTIONS.labels(service, name, "used").set(pool.get_size() - idle)
            metrics.CONNECTIONS_LIMIT.labels(service, name).set(pool.get_max_size())
        await asyncio.sleep(EVERY_SECONDS)


class SeenEnds:
    """Where a partition ended, at several moments: so how long its oldest record has waited."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def waiting_seconds(self, now: float, end: int, position: int) -> float:
        """Since a record at or behind `position` was first seen, seconds; 0 if there is none."""
        if not self._seen or self._seen[-1][1] != end:
            self._seen.append((now, end))
        self._seen = [each for each in self._seen if position < each[1] <= end]
        if len(self._seen) > SEEN_ENDS:
            del self._seen[1::2]  # the oldest stays
        return now - self._seen[0][0] if self._seen else 0.0


class Measuring:
    """What a service's tables and topics say, every two seconds.

    `consumers` maps each consumer to its topics. Positions that cannot be asked are the last known
    ones, so that lag goes on growing while the database is away.
    """

    def __init__(
        self,
        service: str,
        database: "PostgresDatabase",
        relay: Relay,
        consumers: Mapping[str, Sequence[str]],
        open_log: Callable[[], AbstractAsyncContextManager[LogReader]],
    ) -> None:
        self._service = service
        self._database = database
        self._relay = relay
        self._consumers = consumers
        self._open_log = open_log
        self._ages: dict[str, dict[TopicPartition, SeenEnds]] = {}
        self._positions: dict[str, dict[TopicPartition, int]] = {}
        self.database = Answers()
        self.kafka = Answers()

    async def tables(self) -> None:
        """Outbox, dead letters, parked records, positions; until cancelled."""
        while True:
            try:
                await self._measure_tables()
                self.database.came()
            except DATABASE_ERRORS as error:
                self.database.failed(type(error).__name__)
            await asyncio.sleep(EVERY_SECONDS)

    async def _measure_tables(self) -> None:
        async with self._database.connection() as connection:
            waiting = await outbox_table.outbox_waiting(connection, OUTBOX_LIMIT + 1)
            dead = await dead_letter_table.count_dead_letters(connection)
            closed = await dead_letter_table.count_closed_letters(connection)
            parked = await dead_letter_table.count_parked(connection)
            for consumer in self._consumers:
                stored = await position_table.positions(connection, consumer)
                self._positions[consumer] = {p: at.next_offset for p, at in stored.items()}
        metrics.OUTBOX_ROWS.labels(self._service).set(waiting.messages)
        age = (datetime.now(UTC) - waiting.oldest).total_seconds() if waiting.oldest else 0
        metrics.OUTBOX_OLDEST.labels(self._service).set(max(age, 0))
        metrics.DEAD_LETTERS_WAITING.labels(self._service).set(dead)
        metrics.DEAD_LETTERS_CLOSED.labels(self._service).set(closed)
        metrics.PARKED_WAITING.labels(self._service).set(parked)
        if waiting.messages > OUTBOX_LIMIT:
            self._relay.has_room.clear()
        elif waiting.messages < OUTBOX_LIMIT // 2:
            self._relay.has_room.set()

    async def lag(self) -> None:
        """How far each consumer is behind the ends of its topics; until cancelled."""
        while self._consumers:
            try:
                async with self._open_log() as reader:
                    while True:
                        await self._measure_lag(reader)
                        self.kafka.came()
                        await asyncio.sleep(EVERY_SECONDS)
            except BrokerError as error:
                self.kafka.failed(str(error).partition(":")[0])
            await asyncio.sleep(EVERY_SECONDS)

    async def _measure_lag(self, reader: LogReader) -> None:
        now = asyncio.get_running_loop().time()
        for consumer, topics in self._consumers.items():
            partitions = [TopicPartition(topic, p) for topic in topics for p in range(PARTITIONS)]
            ends = await reader.end_offsets(partitions)
            stored = self._positions.get(consumer, {})
            unread = [each for each in partitions if each not in stored]
            beginnings = await reader.beginning_offsets(unread) if unread else {}
            ages = self._ages.setdefault(consumer, defaultdict(SeenEnds))
            behind, oldest = 0, 0.0
            for each, end in ends.items():
                position = stored.get(each, beginnings.get(each, 0))
                behind += max(end - position, 0)
                oldest = max(oldest, ages[each].waiting_seconds(now, end, position))
            metrics.LAG.labels(self._service, consumer).set(behind)
            metrics.BEHIND.labels(self._service, consumer).set(oldest)
