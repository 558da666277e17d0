"""Gauges that move while things are stuck: measured apart from the loops that they are about."""

import asyncio
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
    from lastmetre.common.postgres.database import PostgresDatabase

log = structlog.get_logger()

EVERY_SECONDS: Final = 2.0
SILENT_SECONDS: Final = 8.0
OUTBOX_LIMIT: Final = 100_000


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
        checks: Callable[[], Mapping[str, Sequence[str]]],
    ) -> None:
        self._service = service
        self._database = database
        self._relay = relay
        self._consumers = consumers
        self._open_log = open_log
        self._checks = checks
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

    async def checks(self) -> None:
        """What `/readyz?all` says, as gauges; until cancelled. Waits for nobody."""
        while True:
            for check, missing in self._checks().items():
                metrics.CHECK_FAILING.labels(self._service, check).set(bool(missing))
            await asyncio.sleep(EVERY_SECONDS)

    async def _measure_tables(self) -> None:
        async with self._database.connection() as connection:
            waiting = await outbox_table.outbox_waiting(connection, OUTBOX_LIMIT + 1)
            dead = await dead_letter_table.count_dead_letters(connection)
            parked = await dead_letter_table.count_parked(connection)
            for consumer in self._consumers:
                stored = await position_table.positions(connection, consumer)
                self._positions[consumer] = {p: at.next_offset for p, at in stored.items()}
        metrics.OUTBOX_ROWS.labels(self._service).set(waiting.messages)
        age = (datetime.now(UTC) - waiting.oldest).total_seconds() if waiting.oldest else 0
        metrics.OUTBOX_OLDEST.labels(self._service).set(max(age, 0))
        metrics.DEAD_LETTERS_WAITING.labels(self._service).set(dead)
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
        for consumer, topics in self._consumers.items():
            partitions = [TopicPartition(topic, p) for topic in topics for p in range(PARTITIONS)]
            ends = await reader.end_offsets(partitions)
            stored = self._positions.get(consumer, {})
            unread = [each for each in partitions if each not in stored]
            beginnings = await reader.beginning_offsets(unread) if unread else {}
            behind = sum(
                max(end - stored.get(each, beginnings.get(each, 0)), 0)
                for each, end in ends.items()
            )
            metrics.LAG.labels(self._service, consumer).set(behind)
