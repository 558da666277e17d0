"""Senders that were stopped for their dead letters, and their records, which are held back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.dead_letter_limit import HeldRecord, Sender
from lastmetre.common.postgres.dead_letter_table import pack_headers, unpack_headers
from lastmetre.common.postgres.position_table import lock_position

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


class StoppedSender(NamedTuple):
    """A stopped sender, and how many of its records are held back."""

    consumer: str
    sender: Sender
    stopped_at: datetime
    reason: str | None
    held_back: int


async def stopped_senders(connection: "Connection", consumer: str) -> set[Sender]:
    """The senders whose records are held back."""
    rows = await connection.fetch(
        "SELECT topic, partition, source FROM stopped_sender WHERE consumer = $1", consumer
    )
    return {Sender(*row) for row in rows}


async def stop_senders(
    connection: "Connection", consumer: str, reasons: Mapping[Sender, str], now: datetime
) -> None:
    """Hold back what these send from now on, each for its reason."""
    await connection.executemany(
        "INSERT INTO stopped_sender (consumer, topic, partition, source, reason, stopped_at)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        [(consumer, *sender, reason, now) for sender, reason in reasons.items()],
    )


async def every_stopped_sender(connection: "Connection") -> list[StoppedSender]:
    """Those of all consumers of the service, the longest stopped first."""
    rows = await connection.fetch(
        "SELECT consumer, topic, partition, source, stopped_at, reason FROM stopped_sender"
        " ORDER BY stopped_at, consumer, topic, partition, source"
    )
    senders = [Sender(row["topic"], row["partition"], row["source"]) for row in rows]
    counts = await connection.fetch(
        "SELECT flow, key, count(*) FROM parked WHERE key = ANY($1::uuid[]) GROUP BY flow, key",
        [each.key for each in senders],
    )
    waiting = {(flow, key): count for flow, key, count in counts}
    return [
        StoppedSender(
            row["consumer"],
            sender,
            row["stopped_at"],
            row["reason"],
            waiting.get((row["consumer"], sender.key), 0),
        )
        for row, sender in zip(rows, senders, strict=True)
    ]


async def insert_held_back(
    connection: "Connection", consumer: str, records: Sequence[ConsumedRecord], now: datetime
) -> None:
    """Keep records of stopped senders; their bodies are sealed already."""
    await connection.executemany(
        """
        INSERT INTO parked (flow, key, seq, topic, partition, "offset", appended_at, record_key,
            headers, value, sealed, parked_at)
        VALUES ($1, $2, $3, $4, $5, $3, $6, $7, $8, $9, true, $10) ON CONFLICT DO NOTHING
        """,
        [
            (
                consumer,
                Sender.of(r).key,
                r.offset,
                r.topic,
                r.partition,
                r.timestamp,
                r.key,
                pack_headers(r),
                r.value,
                now,
            )
            for r in records
        ],
    )


async def lock_stopped_sender(connection: "Connection", consumer: str, sender: Sender) -> bool:
    """Until this transaction ends, keep out the consumer's batches of the sender's partition, and
    whoever else releases it; False if it is not stopped."""
    await lock_position(connection, consumer, sender.topic, sender.partition)
    found = await connection.fetchval(
        "SELECT true FROM stopped_sender"
        " WHERE (consumer, topic, partition, source) = ($1, $2, $3, $4) FOR UPDATE",
        consumer,
        *sender,
    )
    return found is not None


async def held_back(
    connection: "Connection", consumer: str, sender: Sender, limit: int
) -> list[HeldRecord]:
    """The first records of a stopped sender that wait, in the order of their offsets."""
    rows = await connection.fetch(
        "SELECT * FROM parked WHERE flow = $1 AND key = $2 ORDER BY seq, appended_at LIMIT $3",
        consumer,
        sender.key,
        limit,
    )
    return [
        HeldRecord(
            ConsumedRecord(
                row["topic"],
                row["partition"],
                row["offset"],
                row["appended_at"],
                row["record_key"],
                row["value"],
                unpack_headers(row["headers"]),
            ),
            row["sealed"],
        )
        for row in rows
    ]


async def release_sender(connection: "Connection", consumer: str, sender: Sender) -> None:
    """Nothing of it is held back any more."""
    await connection.execute(
        "DELETE FROM stopped_sender WHERE (consumer, topic, partition, source) = ($1, $2, $3, $4)",
        consumer,
        *sender,
    )
