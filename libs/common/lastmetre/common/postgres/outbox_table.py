"""The outbox, and how far what it held has been acknowledged by Kafka."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from lastmetre.common.kafka.ports import TopicPartition
from lastmetre.common.kafka.positions import StoredOffset
from lastmetre.common.outbox.catching_up import Identities
from lastmetre.common.outbox.messages import NewOutboxBatch, OutboxBatch
from lastmetre.common.postgres.identity import identify

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


KNOWS_WRITER_EPOCHS: Final = 8
"""The migration of `common.runtime` that the first build with writer epochs has."""


class Waiting(NamedTuple):
    """What the outbox holds: how many messages, and since when the oldest (None: empty)."""

    messages: int
    oldest: datetime | None


async def append_outbox(connection: "Connection", batches: Iterable[NewOutboxBatch]) -> None:
    """Insert rows, in this order."""
    await connection.copy_records_to_table(
        "outbox", records=batches, columns=NewOutboxBatch._fields
    )


async def outbox_head(
    connection: "Connection", shards: Sequence[int], limit: int
) -> list[OutboxBatch]:
    """Of each of these shards the lowest ids, `limit` at most; each shard's in order."""
    rows = await connection.fetch(
        """
        SELECT o.id, o.topic, o.partition, o.shard, o.keys, o.headers, o.bodies
        FROM unnest($1::int[]) AS wanted(shard) CROSS JOIN LATERAL (
            SELECT * FROM outbox WHERE outbox.shard = wanted.shard ORDER BY shard, id LIMIT $2) AS o
        """,
        shards,
        limit,
    )
    return [OutboxBatch(*row) for row in rows]


async def acknowledge(
    connection: "Connection",
    sent: Sequence[OutboxBatch],
    reached: Mapping[TopicPartition, StoredOffset],
    sent_in: int | None = None,
) -> bool:
    """Forget exactly these rows, and note how far their partitions have been acknowledged.

    An older acknowledgement that comes late (by its append time) changes nothing. False, and
    nothing is changed, where another writer epoch than `sent_in` has been begun meanwhile: what
    was sent may not be in force.
    """
    begun: bool = await connection.fetchval(
        """
        WITH other AS (
            SELECT 1 FROM caught_up WHERE writer_epoch <> $8::bigint
        ), deleted AS (
            DELETE FROM outbox o USING unnest($1::int[], $2::bigint[]) AS d(shard, id)
            WHERE o.shard = d.shard AND o.id = d.id AND NOT EXISTS (SELECT FROM other)
        ), noted AS (
            INSERT INTO outbox_acknowledged AS a
                (topic, partition, next_offset, appended_at, writer_epoch)
            SELECT * FROM unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[])
                AS n(topic, partition, next_offset, appended_at, writer_epoch)
            WHERE NOT EXISTS (SELECT FROM other)
            ORDER BY topic, partition
            ON CONFLICT (topic, partition) DO UPDATE
            SET next_offset = excluded.next_offset, appended_at = excluded.appended_at,
                writer_epoch = excluded.writer_epoch
            WHERE (excluded.appended_at, excluded.next_offset) > (a.appended_at, a.next_offset)
        )
        SELECT EXISTS (SELECT FROM other)
        """,
        [batch.shard for batch in sent],
        [batch.id for batch in sent],
        [partition.topic for partition in reached],
        [partition.partition for partition in reached],
        [stored.next_offset for stored in reached.values()],
        [stored.appended_at for stored in reached.values()],
        [stored.writer_epoch for stored in reached.values()],
        sent_in,
    )
    return not begun


async def acknowledged(connection: "Connection") -> dict[TopicPartition, StoredOffset]:
    """How far each partition that this service writes has been acknowledged."""
    rows = await connection.fetch(
        "SELECT topic, partition, next_offset, appended_at, writer_epoch FROM outbox_acknowledged"
    )
    return {
        TopicPartition(row[0], row[1]): StoredOffset(row[2], row[3], writer_epoch=row[4])
        for row in rows
    }


async def identities(connection: "Connection") -> Identities:
    """Whether this database is the one in which its service caught up last."""
    then = await connection.fetchval("SELECT identity FROM caught_up")
    return Identities(then, "/".join(map(str, await identify(connection))))


async def writer_epoch(connection: "Connection") -> int:
    """In which the service writes to lasting topics."""
    found: int | None = await connection.fetchval("SELECT writer_epoch FROM caught_up")
    return found or 0


async def begin_writer_epoch(connection: "Connection", seen: int) -> int:
    """One above the last one and above `seen`. From the commit on nothing that was sent in
    another one is acknowledged, and builds that name no epoch do not begin with this database any
    more: what they wrote would not be in force."""
    await connection.execute(
        "UPDATE migration SET oldest_build = $1 WHERE package = 'common.runtime' AND version = $1",
        KNOWS_WRITER_EPOCHS,
    )
    epoch: int = await connection.fetchval(
        "INSERT INTO caught_up AS c (writer_epoch) VALUES ($1::bigint + 1) ON CONFLICT (single)"
        " DO UPDATE SET writer_epoch = greatest(c.writer_epoch, $1) + 1 RETURNING writer_epoch",
        seen,
    )
    return epoch


async def note_identity(connection: "Connection", now: str) -> None:
    """The service has caught up in this one."""
    await connection.execute(
        "INSERT INTO caught_up (identity) VALUES ($1)"
        " ON CONFLICT (single) DO UPDATE SET identity = excluded.identity",
        now,
    )


async def outbox_waiting(connection: "Connection", at_most: int) -> Waiting:
    """What waits, counted in no more than so many rows."""
    row = await connection.fetchrow(
        """
        SELECT coalesce(sum(records), 0)::bigint, min(added_at)
        FROM (SELECT records, added_at FROM outbox LIMIT $1) AS counted
        """,
        at_most,
    )
    assert row is not None
    return Waiting(*row)
