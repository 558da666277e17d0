"""What the ledger has and the topic `case.events` lacks, and how it comes back into the outbox."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

import asyncpg

from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.codec import kafka_headers
from lastmetre.common.kafka.positions import StoredOffset
from lastmetre.dispatch.adapters.postgres.ledger import EventId, event_id

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

LOCK: Final = 0x6C6D0002
"""Advisory lock: one recovery at a time."""


class TopicEvent(NamedTuple):
    """An event as the topic has it."""

    case_id: UUID
    seq: int
    body: bytes | None
    traceparent: str | None


class KeptEvent(NamedTuple):
    """An event as the ledger keeps it, with its body."""

    case_id: UUID
    seq: int
    type: str
    occurred_at: datetime
    recorded_at: datetime
    body: bytes
    traceparent: str | None


class Missing(NamedTuple):
    """How many events the topic lacks, of how many cases, and how many have no body here."""

    events: int
    cases: int
    without_body: int


async def begin(connection: "Connection") -> bool:
    """Take the lock and make the session's own tables; False if another recovery is at work."""
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
        return False
    await connection.execute(
        "CREATE TEMPORARY TABLE on_topic (case_id uuid, seq int);"
        "CREATE TEMPORARY TABLE missing (case_id uuid, seq int, PRIMARY KEY (case_id, seq))"
    )
    return True


async def note_on_topic(connection: "Connection", found: Iterable[TopicEvent]) -> None:
    """These are on the topic, as read before `compare`."""
    await connection.copy_records_to_table(
        "on_topic", records=[(each.case_id, each.seq) for each in found], columns=("case_id", "seq")
    )


async def note_found(connection: "Connection", found: Sequence[TopicEvent]) -> None:
    """These came onto the topic between the first reading and `compare`."""
    await connection.execute(
        "DELETE FROM missing m USING unnest($1::uuid[], $2::int[]) AS f(case_id, seq)"
        " WHERE m.case_id = f.case_id AND m.seq = f.seq",
        [each.case_id for each in found],
        [each.seq for each in found],
    )


async def keep_bodies(connection: "Connection", found: Sequence[TopicEvent]) -> int:
    """Give ledger rows without a body the one that the topic has; returns how many got one."""
    status = await connection.execute(
        """
        UPDATE ledger l SET body = f.body, traceparent = f.traceparent
        FROM unnest($1::uuid[], $2::int[], $3::bytea[], $4::text[])
            AS f(case_id, seq, body, traceparent)
        WHERE l.case_id = f.case_id AND l.seq = f.seq AND l.body IS NULL AND f.body IS NOT NULL
        """,
        [each.case_id for each in found],
        [each.seq for each in found],
        [each.body for each in found],
        [each.traceparent for each in found],
    )
    return int(status.split()[-1])


async def compare(connection: "Connection") -> int:
    """Fill `missing` with what neither topic nor outbox has; returns how many wait in the outbox.

    One snapshot of ledger and outbox: what has left the outbox by then is on the topic by then.
    """
    await connection.execute("CREATE INDEX ON on_topic (case_id, seq); ANALYZE on_topic")
    async with connection.transaction(isolation="repeatable_read"):
        await connection.execute(
            "INSERT INTO missing SELECT l.case_id, l.seq FROM ledger l WHERE NOT EXISTS"
            " (SELECT 1 FROM on_topic t WHERE t.case_id = l.case_id AND t.seq = l.seq)"
        )
        waiting = 0
        async for row in connection.cursor(
            "SELECT headers FROM outbox WHERE topic = $1", CASE_EVENTS
        ):
            ids = [event_id(dict(kafka_headers(each))["ce_id"]) for each in row["headers"]]
            waiting += len(ids)
            await note_found(connection, [TopicEvent(*each, None, None) for each in ids if each])
    await connection.execute("ANALYZE missing")
    return waiting


async def count_missing(connection: "Connection") -> Missing:
    """How much is missing."""
    row = await connection.fetchrow(
        "SELECT count(*), count(DISTINCT case_id), count(*) FILTER (WHERE body IS NULL)"
        " FROM missing JOIN ledger USING (case_id, seq)"
    )
    assert row is not None
    return Missing(*row)


async def lost(connection: "Connection", limit: int) -> list[tuple[UUID, str, list[int]]]:
    """Cases of which an event cannot be had again: id, number, and the seqs of those events."""
    rows = await connection.fetch(
        "SELECT c.case_id, c.number, array_agg(l.seq ORDER BY l.seq) FROM missing"
        ' JOIN ledger l USING (case_id, seq) JOIN "case" c USING (case_id)'
        " WHERE l.body IS NULL GROUP BY c.case_id, c.number ORDER BY c.number LIMIT $1",
        limit,
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def next_cases(connection: "Connection", after: UUID | None, limit: int) -> list[UUID]:
    """The next cases of which something is missing, by id."""
    rows = await connection.fetch(
        "SELECT DISTINCT case_id FROM missing WHERE $1::uuid IS NULL OR case_id > $1"
        " ORDER BY case_id LIMIT $2",
        after,
        limit,
    )
    return [row[0] for row in rows]


async def take_out_of_outbox(connection: "Connection", case_ids: Sequence[UUID]) -> list[EventId]:
    """Take these cases' events out of the outbox; the caller holds the cases and puts them back,
    behind the ones that were missing."""
    keys = {str(each).encode() for each in case_ids}
    taken: list[EventId] = []
    packs = await connection.fetch(
        "SELECT shard, id, keys, headers, bodies FROM outbox"
        " WHERE topic = $1 AND keys && $2::bytea[] ORDER BY id FOR UPDATE",
        CASE_EVENTS,
        list(keys),
    )
    for pack in packs:
        records = list(zip(pack["keys"], pack["headers"], pack["bodies"], strict=True))
        ids = [event_id(dict(kafka_headers(h))["ce_id"]) for k, h, _ in records if k in keys]
        taken += [each for each in ids if each]
        rest = [each for each in records if each[0] not in keys]
        await _rewrite(connection, (pack["shard"], pack["id"]), rest)
    return taken


async def _rewrite(
    connection: "Connection",
    pack: tuple[int, int],
    records: Sequence[tuple[bytes, bytes, bytes | None]],
) -> None:
    if not records:
        await connection.execute("DELETE FROM outbox WHERE shard = $1 AND id = $2", *pack)
        return
    await connection.execute(
        "UPDATE outbox SET records = $3, keys = $4, headers = $5, bodies = $6"
        " WHERE shard = $1 AND id = $2",
        *pack,
        len(records),
        [key for key, _, _ in records],
        [headers for _, headers, _ in records],
        [body for _, _, body in records],
    )


async def to_send(
    connection: "Connection", case_ids: Sequence[UUID], taken: Sequence[EventId]
) -> list[KeptEvent]:
    """The events of these cases that are missing or were taken out, each case's in order."""
    rows = await connection.fetch(
        """
        SELECT l.case_id, l.seq, l.type, l.occurred_at, l.recorded_at, l.body, l.traceparent
        FROM (
            SELECT case_id, seq FROM missing WHERE case_id = ANY($1::uuid[])
            UNION SELECT * FROM unnest($2::uuid[], $3::int[])
        ) AS w JOIN ledger l USING (case_id, seq)
        WHERE l.body IS NOT NULL ORDER BY l.case_id, l.seq
        """,
        case_ids,
        [case_id for case_id, _ in taken],
        [seq for _, seq in taken],
    )
    return [KeptEvent(*row) for row in rows]


async def acknowledge(connection: "Connection", ends: Mapping[int, StoredOffset | None]) -> None:
    """Say that the topic, as it ends now, is what the broker has acknowledged.

    Until then the relay sends nothing to it, for the log was behind what it had acknowledged. An
    empty partition (None) has acknowledged nothing.
    """
    known = {partition: end for partition, end in ends.items() if end is not None}
    async with connection.transaction():
        await connection.execute("DELETE FROM outbox_acknowledged WHERE topic = $1", CASE_EVENTS)
        await connection.executemany(
            "INSERT INTO outbox_acknowledged (topic, partition, next_offset, appended_at,"
            " writer_epoch) VALUES ($1, $2, $3, $4, $5)",
            [
                (CASE_EVENTS, partition, end.next_offset, end.appended_at, end.writer_epoch)
                for partition, end in sorted(known.items())
            ],
        )


async def can_acknowledge(connection: "Connection") -> bool:
    """Whether this database keeps what was acknowledged."""
    found: bool = await connection.fetchval("SELECT to_regclass('outbox_acknowledged') IS NOT NULL")
    return found


async def connect(dsn: str) -> "asyncpg.Connection[asyncpg.Record]":
    """A session of its own, which holds the lock and the temporary tables."""
    return await asyncpg.connect(
        dsn,
        timeout=30,
        server_settings={"application_name": "dispatch-recover", "timezone": "UTC"},
    )
