"""How far the channels' topics may be, and have been, trimmed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

TopicPartition = tuple[str, int]


class Untrimmed(NamedTuple):
    """What may be trimmed: records below these offsets, of each partition that has some."""

    positions: dict[TopicPartition, int]
    begun_at: datetime | None
    """When the backup that they are of was begun; None where none is asked for, or there is none.
    Both by one statement: a backup may be confirmed at any moment."""


async def untrimmed(connection: "Connection", flow: str) -> Untrimmed:
    """Up to the flow's stored position."""
    rows = await connection.fetch(
        """
        SELECT p.topic, p.partition, p.next_offset
        FROM position p LEFT JOIN trimmed t USING (topic, partition)
        WHERE p.flow = $1 AND p.next_offset > coalesce(t.low_offset, 0)
        """,
        flow,
    )
    return Untrimmed({(row[0], row[1]): row[2] for row in rows}, None)


async def untrimmed_in_backup(connection: "Connection", flow: str) -> Untrimmed:
    """The same, no further than the confirmed backup brings back; nothing without one."""
    rows = await connection.fetch(
        """
        SELECT p.topic, p.partition, least(p.next_offset, c.next_offset), b.begun_at
        FROM confirmed_backup b CROSS JOIN position p
        JOIN confirmed_position c ON c.topic = p.topic AND c.partition = p.partition
            AND c.topic_id IS NOT DISTINCT FROM p.topic_id
        LEFT JOIN trimmed t ON t.topic = p.topic AND t.partition = p.partition
        WHERE p.flow = $1 AND least(p.next_offset, c.next_offset) > coalesce(t.low_offset, 0)
        """,
        flow,
    )
    begun_at = rows[0]["begun_at"] if rows else None
    return Untrimmed({(row[0], row[1]): row[2] for row in rows}, begun_at)


async def note(connection: "Connection", low: Mapping[TopicPartition, int], now: datetime) -> None:
    """Note that the records below these offsets are deleted."""
    in_order = sorted(low)
    await connection.execute(
        """
        INSERT INTO trimmed (topic, partition, low_offset, trimmed_at)
        SELECT topic, partition, low_offset, $4
        FROM unnest($1::text[], $2::int[], $3::bigint[]) AS new (topic, partition, low_offset)
        ON CONFLICT (topic, partition) DO UPDATE
            SET low_offset = excluded.low_offset, trimmed_at = excluded.trimmed_at
        """,
        [topic for topic, _ in in_order],
        [partition for _, partition in in_order],
        [low[each] for each in in_order],
        now,
    )


async def unseen_gaps(
    connection: "Connection", flow: str, below: Mapping[TopicPartition, int]
) -> list[tuple[str, int, int, int]]:
    """(topic, partition, first, next offset) of passed-over stretches nobody has looked at."""
    in_order = sorted(below)
    rows = await connection.fetch(
        """
        SELECT p.topic, p.partition, p.first_offset, p.next_offset
        FROM passed_over p
        JOIN unnest($2::text[], $3::int[], $4::bigint[]) AS low (topic, partition, low_offset)
            USING (topic, partition)
        LEFT JOIN empty_stretch e USING (topic, partition, first_offset)
        WHERE p.flow = $1 AND p.first_offset < low.low_offset
            AND (e.next_offset IS NULL OR e.next_offset <> p.next_offset)
        ORDER BY p.topic, p.partition, p.first_offset
        """,
        flow,
        [topic for topic, _ in in_order],
        [partition for _, partition in in_order],
        [below[each] for each in in_order],
    )
    return [tuple(row) for row in rows]


async def note_empty(
    connection: "Connection", gaps: Sequence[tuple[str, int, int, int]], now: datetime
) -> None:
    """Note that these stretches were seen to hold no record."""
    await connection.executemany(
        "INSERT INTO empty_stretch (topic, partition, first_offset, next_offset, seen_at)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (topic, partition, first_offset)"
        " DO UPDATE SET next_offset = excluded.next_offset, seen_at = excluded.seen_at",
        [(*gap, now) for gap in gaps],
    )


async def lock(connection: "Connection", key: int) -> bool:
    """Whether this connection is now the one that trims."""
    taken: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1)", key)
    return taken


async def unlock(connection: "Connection", key: int) -> None:
    """Let another process trim."""
    await connection.execute("SELECT pg_advisory_unlock($1)", key)
