"""How far the channels' topics may be, and have been, trimmed."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

TopicPartition = tuple[str, int]


async def untrimmed(connection: "Connection", flow: str) -> dict[TopicPartition, int]:
    """The flow's stored position of each partition that has something below it to trim."""
    rows = await connection.fetch(
        """
        SELECT p.topic, p.partition, p.next_offset
        FROM position p LEFT JOIN trimmed t USING (topic, partition)
        WHERE p.flow = $1 AND p.next_offset > coalesce(t.low_offset, 0)
        """,
        flow,
    )
    return {(row[0], row[1]): row[2] for row in rows}


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


async def lock(connection: "Connection", key: int) -> bool:
    """Whether this connection is now the one that trims."""
    taken: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1)", key)
    return taken


async def unlock(connection: "Connection", key: int) -> None:
    """Let another process trim."""
    await connection.execute("SELECT pg_advisory_unlock($1)", key)
