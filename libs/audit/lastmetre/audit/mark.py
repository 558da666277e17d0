"""A mark, taken before a cut: what began after it is looked at again by the next audit.

Of each partition it is an offset, of each database the next transaction's id. The offsets are asked
for first, and no transaction with a smaller id is open when the cut is taken. So a row that is in
the cut is either of a smaller id, and was counted, or what belongs to it stands behind the mark: a
record that it was made from is behind its reader's position, one that was made from it behind the
end. The channels' offsets are asked for after the others: what is below the end of `reports` came
from a record below a channel's end.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import asyncpg

from lastmetre.common.contracts.readers import CHANNEL_TOPICS, READERS
from lastmetre.common.kafka.topic_reader import Place, Topics

LOOK_EVERY_SECONDS: Final = 0.05
OPEN_SECONDS: Final = 10.0
"""How long a transaction may be open that was open when the mark was taken."""

FlowRecord = tuple[str, str, int, int]
"""(flow, topic, partition, offset)"""
Connections = Mapping[str, "asyncpg.Connection[asyncpg.Record]"]


@dataclass(frozen=True)
class DatabaseMark:
    """A database at the mark. `limit` is a full transaction id (xid8)."""

    limit: int
    positions: Mapping[tuple[str, Place], int]
    parked: frozenset[FlowRecord]
    dead: frozenset[FlowRecord]


@dataclass(frozen=True)
class Mark:
    """Where the next audit begins."""

    taken_at: datetime
    ends: Mapping[Place, int]
    databases: Mapping[str, DatabaseMark]

    def start(self, place: Place) -> int:
        """Everything below was relayed and read by all its readers."""
        positions = [
            self.databases[service].positions.get((topics[place[0]], place), 0)
            for service, topics in READERS.items()
            if place[0] in topics
        ]
        return min(self.ends[place], *positions, self.ends[place])


async def take_mark(
    topics: Topics, places: Iterable[Place], connections: Connections
) -> Mark | None:
    """Take it; None where a transaction stays open for longer than OPEN_SECONDS."""
    wanted = list(places)
    ends = await topics.ends(place for place in wanted if place[0] not in CHANNEL_TOPICS)
    ends |= await topics.ends(place for place in wanted if place[0] in CHANNEL_TOPICS)
    # After the ends: of a file that is newer than this the message is told behind them.
    taken_at = datetime.now(UTC)
    marks = await asyncio.gather(*(_of_database(each) for each in connections.values()))
    databases = dict(zip(connections, marks, strict=True))
    deadline = time.monotonic() + OPEN_SECONDS
    for service, mark in databases.items():
        while await _oldest_open(connections[service]) < mark.limit:
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(LOOK_EVERY_SECONDS)
    return Mark(taken_at, ends, databases)


async def _of_database(connection: "asyncpg.Connection[asyncpg.Record]") -> DatabaseMark:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        limit = await connection.fetchval(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
        )
        positions = await connection.fetch(
            "SELECT flow, topic, partition, next_offset FROM position"
        )
        parked = await connection.fetch('SELECT flow, topic, partition, "offset" FROM parked')
        dead = await connection.fetch(
            'SELECT flow, topic, partition, "offset" FROM dead_letter WHERE replayed_at IS NULL'
        )
    return DatabaseMark(
        limit,
        {(row[0], (row[1], row[2])): row[3] for row in positions},
        frozenset(tuple(row) for row in parked),
        frozenset(tuple(row) for row in dead),
    )


async def _oldest_open(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    found: int = await connection.fetchval(
        "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    )
    return found
