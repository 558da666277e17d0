"""Where each consumer stands: positions, and offsets that hold no record."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lastmetre.common.kafka.ports import TopicPartition
from lastmetre.common.kafka.positions import OffsetGap, StoredOffset

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


async def positions(connection: "Connection", consumer: str) -> dict[TopicPartition, StoredOffset]:
    """Every stored position of `consumer`."""
    rows = await connection.fetch(
        "SELECT topic, partition, next_offset, appended_at, topic_id, writer_epoch FROM position"
        " WHERE flow = $1",
        consumer,
    )
    return {TopicPartition(row[0], row[1]): StoredOffset(*row[2:]) for row in rows}


async def lock_position(
    connection: "Connection", consumer: str, topic: str, partition: int
) -> None:
    """Keep the consumer's own batches of that partition out until this transaction ends."""
    await connection.execute(
        "SELECT 1 FROM position WHERE flow = $1 AND topic = $2 AND partition = $3 FOR UPDATE",
        consumer,
        topic,
        partition,
    )


async def advance_positions(
    connection: "Connection",
    consumer: str,
    before: Mapping[TopicPartition, StoredOffset | None],
    after: Mapping[TopicPartition, StoredOffset],
) -> bool:
    """Move each position from `before` (None: not stored yet) to `after`.

    False if one is not where we left it: then another process has taken the partition over.
    """
    order = sorted(after)
    moved = await connection.fetch(
        """
        WITH wanted AS (
            SELECT * FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[],
                                 $7::uuid[], $8::bigint[])
                AS w(topic, partition, was, next_offset, appended_at, topic_id, writer_epoch)
        ), held AS (
            SELECT p.topic, p.partition FROM position p JOIN wanted w USING (topic, partition)
            WHERE p.flow = $1 AND p.next_offset = w.was
            ORDER BY p.topic, p.partition FOR UPDATE OF p
        ), updated AS (
            UPDATE position p SET next_offset = w.next_offset, appended_at = w.appended_at,
                topic_id = w.topic_id, writer_epoch = w.writer_epoch
            FROM wanted w JOIN held USING (topic, partition)
            WHERE p.flow = $1 AND p.topic = w.topic AND p.partition = w.partition
            RETURNING 1
        ), inserted AS (
            INSERT INTO position
                (flow, topic, partition, next_offset, appended_at, topic_id, writer_epoch)
            SELECT $1, topic, partition, next_offset, appended_at, topic_id, writer_epoch
            FROM wanted WHERE was IS NULL
            ORDER BY topic, partition
            ON CONFLICT DO NOTHING RETURNING 1
        )
        SELECT 1 FROM updated UNION ALL SELECT 1 FROM inserted
        """,
        consumer,
        [topic for topic, _ in order],
        [partition for _, partition in order],
        [was.next_offset if (was := before[each]) else None for each in order],
        [after[each].next_offset for each in order],
        [after[each].appended_at for each in order],
        [after[each].topic_id for each in order],
        [after[each].writer_epoch for each in order],
    )
    return len(moved) == len(order)


async def insert_offset_gaps(
    connection: "Connection", consumer: str, gaps: Sequence[OffsetGap]
) -> None:
    """Note that there was nothing to read: once a topic is trimmed, nobody else could tell."""
    await connection.executemany(
        "INSERT INTO passed_over (flow, topic, partition, first_offset, next_offset)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        [(consumer, *gap) for gap in gaps],
    )
