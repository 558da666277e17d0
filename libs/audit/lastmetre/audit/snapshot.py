"""A service's database at one instant: the core's tables, and whatever a line asks of it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import asyncpg

from lastmetre.audit.errors import AuditImpossible
from lastmetre.audit.mark import Connections
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.kafka.codec import ConsumedRecord, kafka_headers
from lastmetre.common.kafka.topic_reader import Place
from lastmetre.common.postgres.dead_letter_table import unpack_headers

CONNECT_SECONDS: Final = 15.0
COMMAND_SECONDS: Final = 300.0
STREAMED_ROWS: Final = 5000
Row = asyncpg.Record
_CORRECTED: Final = (
    'SELECT topic, partition, "offset", appended_at, key, corrected_headers, corrected_value'
    " FROM dead_letter WHERE corrected_headers IS NOT NULL"
)

_WAITING: Final = (
    "SELECT o.topic, o.partition, r.key, r.headers, r.body FROM outbox o,"
    " unnest(o.keys, o.headers, o.bodies) WITH ORDINALITY AS r(key, headers, body, at)"
    " ORDER BY o.id, r.at"
)


class Read(NamedTuple):
    """Where a flow stands in a partition; `appended_at` is its last record's time there."""

    next_offset: int
    appended_at: int


@dataclass(slots=True)
class Snapshot:
    """One database as a REPEATABLE READ READ ONLY transaction sees it."""

    service: str
    connection: "asyncpg.Connection[asyncpg.Record]"
    positions: dict[tuple[str, Place], Read] = field(default_factory=dict)
    """By (flow, place)."""
    dead: set[tuple[str, Place, int]] = field(default_factory=set)
    """(flow, place, offset) of dead letters that nobody has replayed."""
    replayed: set[tuple[str, Place, int]] = field(default_factory=set)
    """The same of those that somebody has."""
    parked: set[tuple[str, Place, int]] = field(default_factory=set)
    """(flow, place, offset)"""
    corrected: dict[tuple[Place, int, int], ConsumedRecord] = field(default_factory=dict)
    """By (place, offset, append time): what counted in place of what the topic holds."""
    passed_over: dict[tuple[str, Place], set[int]] = field(default_factory=lambda: defaultdict(set))
    """Offsets of (flow, place) that held no record when they were read."""
    outbox: dict[Place, list[ConsumedRecord]] = field(default_factory=lambda: defaultdict(list))
    recent: str = "true"
    """SQL that says of a row that it was written since the checkpoint; of any row without one."""

    async def rows(self, sql: str, *arguments: Any) -> list[Row]:
        """What a query finds."""
        return await self.connection.fetch(sql, *arguments)

    async def stream(self, sql: str, *arguments: Any) -> AsyncIterator[Row]:
        """The same, a few at a time."""
        async for row in self.connection.cursor(sql, *arguments, prefetch=STREAMED_ROWS):
            yield row

    async def load(self) -> None:
        """Read the tables that every service has."""
        for flow, topic, partition, offset, at in await self.rows(
            "SELECT flow, topic, partition, next_offset, appended_at FROM position"
        ):
            self.positions[flow, (topic, partition)] = Read(offset, at)
        for flow, topic, partition, offset, replayed in await self.rows(
            'SELECT flow, topic, partition, "offset", replayed_at IS NOT NULL FROM dead_letter'
        ):
            letters = self.replayed if replayed else self.dead
            letters.add((flow, (topic, partition), offset))
        for flow, topic, partition, offset in await self.rows(
            'SELECT flow, topic, partition, "offset" FROM parked'
        ):
            self.parked.add((flow, (topic, partition), offset))
        for topic, partition, offset, at, key, headers, value in await self.rows(_CORRECTED):
            self.corrected[(topic, partition), offset, at] = ConsumedRecord(
                topic, partition, offset, at, key, value, unpack_headers(headers)
            )
        for flow, topic, partition, first, after in await self.rows(
            "SELECT flow, topic, partition, first_offset, next_offset FROM passed_over"
        ):
            self.passed_over[flow, (topic, partition)].update(range(first, after))
        for topic, partition, key, headers, value in await self.rows(_WAITING):
            record = ConsumedRecord(topic, partition, -1, 0, key, value, kafka_headers(headers))
            self.outbox[topic, partition].append(record)

    def position(self, flow: str, place: Place) -> int:
        """The next offset that `flow` would read there."""
        read = self.positions.get((flow, place))
        return read.next_offset if read else 0


@asynccontextmanager
async def open_connections(databases: Mapping[str, str]) -> AsyncIterator[Connections]:
    """One to each database; raises AuditImpossible."""
    async with AsyncExitStack() as stack:
        connections: dict[str, asyncpg.Connection[asyncpg.Record]] = {}
        for service in SERVICES:
            connections[service] = await connect(service, databases)
            stack.push_async_callback(connections[service].close, timeout=5)
        yield connections


@asynccontextmanager
async def open_snapshots(connections: Connections) -> AsyncIterator[dict[str, Snapshot]]:
    """All databases at as nearly the same instant as can be."""
    async with AsyncExitStack() as stack:
        snapshots: dict[str, Snapshot] = {}
        for service, connection in connections.items():
            transaction = connection.transaction(isolation="repeatable_read", readonly=True)
            await transaction.start()
            stack.push_async_callback(transaction.rollback)
            if service == "metrics":
                # A rebuild puts another table in its place, in which this snapshot saw nothing.
                await connection.execute("LOCK TABLE fact IN ACCESS SHARE MODE")
            snapshots[service] = Snapshot(service, connection)
        # The first statement of each transaction takes its snapshot.
        await asyncio.gather(*(each.rows("SELECT 1") for each in snapshots.values()))
        for each in snapshots.values():
            await each.load()
        yield snapshots


async def connect(
    service: str, databases: Mapping[str, str]
) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection to that service's database; raises AuditImpossible."""
    if service not in databases:
        raise AuditImpossible(f"the address of {service}'s database is not known")
    try:
        return await asyncpg.connect(
            databases[service],
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            server_settings={
                "application_name": "lastmetre-audit",
                "idle_in_transaction_session_timeout": "0",
                "timezone": "UTC",
                "jit": "off",
            },
        )
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise AuditImpossible(
            f"{service}'s database does not let the audit in: {type(error).__name__}: {error}"
        ) from error


async def ids(snapshot: Snapshot, *queries: str) -> set[str]:
    """The ids that these queries find, as text."""
    found: set[str] = set()
    for query in queries:
        found.update([row[0] for row in await snapshot.rows(query)])
    return found


def by_key(rows: Sequence[Row], key: str) -> dict[str, list[Row]]:
    """Rows grouped by a column."""
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row[key]].append(row)
    return grouped
