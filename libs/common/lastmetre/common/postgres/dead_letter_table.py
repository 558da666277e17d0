"""Dead letters, and records that wait: for an earlier one, or for the release of their sender."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import asyncpg
from pydantic_core import from_json, to_json

from lastmetre.common.kafka.codec import ConsumedRecord

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


def pack_headers(record: ConsumedRecord) -> bytes:
    """Headers as they came, as JSON: a partner's may hold anything, so bytes become latin-1."""
    return to_json([(k, None if v is None else v.decode("latin-1")) for k, v in record.headers])


def unpack_headers(packed: bytes) -> list[tuple[str, bytes | None]]:
    """What `pack_headers` packed."""
    return [(k, None if v is None else v.encode("latin-1")) for k, v in from_json(packed)]


async def insert_dead_letters(
    connection: "Connection",
    consumer: str,
    dead: Sequence[tuple[ConsumedRecord, str]],
    now: datetime,
) -> None:
    """Keep records that cannot be handled, with the reason. A repetition changes nothing."""
    await connection.executemany(
        """
        INSERT INTO dead_letter
            (flow, topic, partition, "offset", appended_at, key, headers, value, error, died_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING
        """,
        [
            (
                consumer,
                r.topic,
                r.partition,
                r.offset,
                r.timestamp,
                r.key,
                pack_headers(r),
                r.value,
                error,
                now,
            )
            for r, error in dead
        ],
    )


async def dead_letters(
    connection: "Connection", *, with_done: bool, before: int, limit: int
) -> list[asyncpg.Record]:
    """The newest dead letters with an id below `before` first, without their bodies. `with_done`:
    those that were replayed or closed, too."""
    return await connection.fetch(
        """
        SELECT id, flow, topic, partition, "offset", key, error, died_at, replayed_at,
            corrected_headers IS NOT NULL AS corrected, closed_at, closed_by, closed_reason
        FROM dead_letter WHERE (replayed_at IS NULL AND closed_at IS NULL OR $1) AND id < $2
        ORDER BY id DESC LIMIT $3
        """,
        with_done,
        before,
        limit,
    )


class Closing(NamedTuple):
    """That a dead letter is to have no effect: since when, as who has decided, and why."""

    at: datetime
    by: str
    reason: str


class DeadLetter(NamedTuple):
    """A record that could not be handled."""

    id: int
    consumer: str
    record: ConsumedRecord
    error: str
    died_at: datetime
    replayed_at: datetime | None
    closing: Closing | None


async def dead_letter(
    connection: "Connection", letter_id: int, *, for_update: bool = False
) -> DeadLetter | None:
    """One dead letter, whole."""
    row = await connection.fetchrow(
        f"SELECT * FROM dead_letter WHERE id = $1 {'FOR UPDATE' if for_update else ''}",  # noqa: S608
        letter_id,
    )
    if row is None:
        return None
    closed = row["closed_at"] is not None
    return DeadLetter(
        row["id"],
        row["flow"],
        _record(row),
        row["error"],
        row["died_at"],
        row["replayed_at"],
        Closing(row["closed_at"], row["closed_by"], row["closed_reason"]) if closed else None,
    )


async def mark_replayed(
    connection: "Connection", letter_id: int, now: datetime, corrected: ConsumedRecord | None
) -> None:
    """The dead letter has been handled after all, as `corrected` if that is given."""
    await connection.execute(
        "UPDATE dead_letter SET replayed_at = $2, corrected_headers = $3, corrected_value = $4"
        " WHERE id = $1",
        letter_id,
        now,
        pack_headers(corrected) if corrected else None,
        corrected.value if corrected else None,
    )


async def close(connection: "Connection", letter_id: int, closing: Closing) -> None:
    """The dead letter is to have no effect."""
    await connection.execute(
        "UPDATE dead_letter SET closed_at = $2, closed_by = $3, closed_reason = $4 WHERE id = $1",
        letter_id,
        *closing,
    )


async def corrections(connection: "Connection", consumer: str, topic: str) -> list[ConsumedRecord]:
    """The records of `topic` that counted otherwise than they stand there."""
    rows = await connection.fetch(
        'SELECT topic, partition, "offset", appended_at, key, corrected_headers AS headers,'
        " corrected_value AS value FROM dead_letter"
        " WHERE flow = $1 AND topic = $2 AND corrected_headers IS NOT NULL ORDER BY id",
        consumer,
        topic,
    )
    return [_record(row) for row in rows]


async def count_dead_letters(connection: "Connection") -> int:
    """How many wait for a person."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM dead_letter WHERE replayed_at IS NULL AND closed_at IS NULL"
    )
    return count


async def count_closed_letters(connection: "Connection") -> int:
    """How many a person has closed, and nobody has replayed."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM dead_letter WHERE replayed_at IS NULL AND closed_at IS NOT NULL"
    )
    return count


async def insert_parked(
    connection: "Connection",
    consumer: str,
    parked: Sequence[tuple[UUID, int, ConsumedRecord]],
    now: datetime,
) -> None:
    """Keep records whose turn has not come, by (key, seq)."""
    await connection.executemany(
        """
        INSERT INTO parked
            (flow, key, seq, topic, partition, "offset", appended_at, headers, value, parked_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING
        """,
        [
            (
                consumer,
                key,
                seq,
                r.topic,
                r.partition,
                r.offset,
                r.timestamp,
                pack_headers(r),
                r.value,
                now,
            )
            for key, seq, r in parked
        ],
    )


async def parked_of(
    connection: "Connection", consumer: str, keys: Sequence[UUID]
) -> dict[UUID, list[ConsumedRecord]]:
    """The parked records of these keys, each key's in order."""
    rows = await connection.fetch(
        "SELECT * FROM parked WHERE flow = $1 AND key = ANY($2::uuid[]) ORDER BY key, seq",
        consumer,
        keys,
    )
    found: dict[UUID, list[ConsumedRecord]] = {}
    for row in rows:
        found.setdefault(row["key"], []).append(_record(row))
    return found


async def delete_parked(
    connection: "Connection", consumer: str, handled: Sequence[ConsumedRecord]
) -> None:
    """These have had their turn."""
    await connection.execute(
        """
        DELETE FROM parked p USING unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[])
            AS h(topic, partition, "offset", appended_at)
        WHERE p.flow = $1 AND p.topic = h.topic AND p.partition = h.partition
          AND p."offset" = h."offset" AND p.appended_at = h.appended_at
        """,
        consumer,
        [r.topic for r in handled],
        [r.partition for r in handled],
        [r.offset for r in handled],
        [r.timestamp for r in handled],
    )


async def parked_before(
    connection: "Connection", consumer: str, before: datetime, held_back: Sequence[UUID], limit: int
) -> list[ConsumedRecord]:
    """Records parked before that instant, oldest first; other processes' picks are skipped, and
    what is held back under these keys of stopped senders."""
    rows = await connection.fetch(
        "SELECT * FROM parked WHERE flow = $1 AND parked_at < $2 AND key <> ALL($3::uuid[])"
        " ORDER BY parked_at LIMIT $4 FOR UPDATE SKIP LOCKED",
        consumer,
        before,
        held_back,
        limit,
    )
    return [_record(row) for row in rows]


async def count_parked(connection: "Connection") -> int:
    """How many records wait."""
    count: int = await connection.fetchval("SELECT count(*) FROM parked")
    return count


def _record(row: asyncpg.Record) -> ConsumedRecord:
    key: bytes | UUID | None = row["key"]
    return ConsumedRecord(
        row["topic"],
        row["partition"],
        row["offset"],
        row["appended_at"],
        str(key).encode() if isinstance(key, UUID) else key,
        row["value"],
        unpack_headers(row["headers"]),
    )
