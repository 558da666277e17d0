"""The sender's SQL. Ownership of a shard and the number of attempts decide who may change a row."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.notify.adapters.postgres import sending_again
from lastmetre.notify.adapters.postgres.asking import ReporterColumns, category_of, reporter_of
from lastmetre.notify.domain.sending_again import AskedAgain

if TYPE_CHECKING:
    import asyncpg

    from lastmetre.common.postgres.database import Connection

Key = tuple[UUID, str, int]
"""(case id, recipient, seq)"""


class Attempted(NamedTuple):
    """A message with its number of attempts: one that somebody else has tried since is not ours."""

    case_id: UUID
    recipient: str
    seq: int
    attempts: int

    @property
    def key(self) -> Key:
        """What names the message."""
        return self.case_id, self.recipient, self.seq


class Due(NamedTuple):
    """A message whose turn it is."""

    case_id: UUID
    recipient: str
    seq: int
    attempts: int
    shard: int
    provider_queue: str
    kind: str
    occurred_at: datetime
    traceparent: str
    lead_zh: str | None
    lead_en: str | None
    report_id: UUID
    """Of the reporter, or of the case where the recipient is a lead."""
    number: str
    language: str
    category: str
    again: AskedAgain | None = None

    @property
    def key(self) -> Key:
        """What names the message."""
        return self.case_id, self.recipient, self.seq

    @property
    def claimed(self) -> Attempted:
        """The message as a claim leaves it."""
        return Attempted(self.case_id, self.recipient, self.seq, self.attempts + 1)


async def due(
    connection: "Connection", shards: Sequence[int], provider_queue: str, now: datetime, limit: int
) -> list[Due]:
    """The longest due messages of these shards with nothing unfinished before them.

    The least seq, not a NOT EXISTS: if the table was analysed while it was empty, that becomes a
    join which reads all of it for each row.
    """
    rows = await connection.fetch(
        f"""
        SELECT w.case_id, w.recipient, w.seq, w.attempts, w.shard, w.lane, w.kind, w.occurred_at,
            w.traceparent, w.lead_zh, w.lead_en, s.report_id, s.number, s.language,
            {category_of("w")}, s.merged, w.again
        FROM message_waiting w JOIN subject s USING (case_id)
        WHERE w.lane = $1 AND w.not_before <= $2 AND w.shard = ANY($3::smallint[])
            AND w.sending_by IS NULL AND w.seq = (
                SELECT min(e.seq) FROM message_waiting e
                WHERE e.case_id = w.case_id AND e.recipient = w.recipient)
        ORDER BY w.not_before LIMIT $4
        """,  # noqa: S608
        provider_queue,
        now,
        shards,
        limit,
    )
    messages = [_due(row) for row in rows]
    if requests := [row["again"] for row in rows if row["again"] is not None]:
        asked = await sending_again.requests(connection, requests)
        return [
            message._replace(again=asked[row["again"]].asked) if row["again"] else message
            for message, row in zip(messages, rows, strict=True)
        ]
    return messages


def _due(row: "asyncpg.Record") -> Due:
    message = Due(*row[:-2])
    own = ReporterColumns(message.report_id, message.language)
    found = reporter_of(message.recipient, own, row["merged"])
    return message if found is own else message._replace(**found._asdict())


async def claim(
    connection: "Connection", provider: str, messages: Sequence[Due | Attempted]
) -> set[Attempted]:
    """Note that `provider` is about to be given these; returns those that still could be."""
    rows = await connection.fetch(
        """
        UPDATE message_waiting w SET sending_by = $1, attempts = w.attempts + 1
        FROM unnest($2::uuid[], $3::text[], $4::int[], $5::int[])
            AS n(case_id, recipient, seq, attempts)
        WHERE w.case_id = n.case_id AND w.recipient = n.recipient AND w.seq = n.seq
            AND w.attempts = n.attempts AND w.sending_by IS NULL
        RETURNING w.case_id, w.recipient, w.seq, w.attempts
        """,
        provider,
        [m.case_id for m in messages],
        [m.recipient for m in messages],
        [m.seq for m in messages],
        [m.attempts for m in messages],
    )
    return {Attempted(*row) for row in rows}


async def assign_provider_queue(
    connection: "Connection", keys: Sequence[Key], provider_queue: str
) -> None:
    """Let these wait for a provider that has no room now."""
    await connection.execute(
        """
        UPDATE message_waiting w SET lane = $4
        FROM unnest($1::uuid[], $2::text[], $3::int[]) AS n(case_id, recipient, seq)
        WHERE w.case_id = n.case_id AND w.recipient = n.recipient AND w.seq = n.seq
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
        [key[2] for key in keys],
        provider_queue,
    )


class End(NamedTuple):
    """What became of a message, by which provider, and why if it was not sent."""

    result: DeliveryResult
    provider: str | None = None
    error: str | None = None


class Ended(NamedTuple):
    """A message that has just come to its end."""

    case_id: UUID
    recipient: str
    seq: int
    traceparent: str
    asked_at: datetime
    again: AskedAgain | None = None


async def finish(
    connection: "Connection", end: End, messages: Sequence[Attempted], now: datetime
) -> list[Ended]:
    """Move messages from waiting to done; `now` is city time. Returns those that were ours.

    One that was sent again has been done before: its end is that of the request.
    """
    rows = await connection.fetch(
        """
        WITH ended AS (
            DELETE FROM message_waiting w
            USING unnest($1::uuid[], $2::text[], $3::int[], $4::int[])
                AS n(case_id, recipient, seq, attempts)
            WHERE w.case_id = n.case_id AND w.recipient = n.recipient AND w.seq = n.seq
                AND w.attempts = n.attempts
            RETURNING w.case_id, w.recipient, w.seq, w.kind, w.traceparent, w.asked_at,
                w.lead_zh, w.lead_en, w.again
        ), kept AS (
            INSERT INTO message_done
                (case_id, recipient, seq, kind, result, provider, error, occurred_at,
                 lead_zh, lead_en)
            SELECT case_id, recipient, seq, kind, $5, $6, $7, $8, lead_zh, lead_en FROM ended
            WHERE again IS NULL
        )
        SELECT case_id, recipient, seq, traceparent, asked_at, again FROM ended
        """,
        *zip(*messages, strict=True),
        *end,
        now,
    )
    again = {row["again"] for row in rows} - {None}
    if not again:
        return [Ended(*row) for row in rows]
    asked = await sending_again.end(connection, again, *end, now)
    return [Ended._make([*row[:-1], asked.get(row["again"])]) for row in rows]


async def reschedule(
    connection: "Connection", attempts: Sequence[tuple[Key, int, str, datetime]]
) -> None:
    """Try these again later: (key, attempts, error, not before). Those behind them wait along."""
    await connection.execute(
        """
        WITH n AS (
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::text[],
                $6::timestamptz[]) AS n(case_id, recipient, seq, attempts, error, not_before)
        ), failed AS (
            UPDATE message_waiting w
            SET sending_by = NULL, error = n.error, not_before = n.not_before FROM n
            WHERE w.case_id = n.case_id AND w.recipient = n.recipient AND w.seq = n.seq
                AND w.attempts = n.attempts
            RETURNING w.case_id, w.recipient, w.seq, w.not_before
        )
        UPDATE message_waiting w SET not_before = failed.not_before FROM failed
        WHERE w.case_id = failed.case_id AND w.recipient = failed.recipient
            AND w.seq > failed.seq AND w.not_before < failed.not_before
        """,
        [key[0] for key, *_ in attempts],
        [key[1] for key, *_ in attempts],
        [key[2] for key, *_ in attempts],
        [tried for _, tried, _, _ in attempts],
        [error for _, _, error, _ in attempts],
        [not_before for *_, not_before in attempts],
    )


_NOT_OURS: Final = """
    NOT EXISTS (SELECT 1 FROM unnest($3::uuid[], $4::text[], $5::int[], $6::int[])
        AS o(case_id, recipient, seq, attempts)
        WHERE o.case_id = w.case_id AND o.recipient = w.recipient AND o.seq = w.seq
            AND o.attempts = w.attempts)
"""


def _columns(messages: Collection[Attempted]) -> list[Sequence[object]]:
    return list(zip(*messages, strict=True)) if messages else [[], [], [], []]


async def requeue(
    connection: "Connection",
    shards: Sequence[int],
    repeatable: Sequence[str],
    ours: Collection[Attempted],
) -> int:
    """Send again what was left `sending`, where the provider recognises a repetition.

    Not `ours`, which this process is still sending. Attempts go up: a result of the former owner
    that still comes changes nothing. Returns how many there are.
    """
    status = await connection.execute(
        "UPDATE message_waiting w SET sending_by = NULL, attempts = w.attempts + 1"  # noqa: S608
        " WHERE w.shard = ANY($1::smallint[]) AND w.sending_by = ANY($2::text[])"
        f" AND {_NOT_OURS}",
        shards,
        repeatable,
        *_columns(ours),
    )
    return int(status.split()[-1])


async def orphaned(
    connection: "Connection",
    shards: Sequence[int],
    repeatable: Sequence[str],
    ours: Collection[Attempted],
) -> list[tuple[str, Attempted]]:
    """What was left `sending` by other providers, with the provider: it may have gone out or not.

    Not `ours`, which this process is still sending.
    """
    rows = await connection.fetch(
        "SELECT w.sending_by, w.case_id, w.recipient, w.seq, w.attempts FROM message_waiting w"  # noqa: S608
        " WHERE w.shard = ANY($1::smallint[]) AND w.sending_by IS NOT NULL"
        " AND w.sending_by <> ALL($2::text[])"
        f" AND {_NOT_OURS}",
        shards,
        repeatable,
        *_columns(ours),
    )
    return [(row[0], Attempted(*row[1:])) for row in rows]


async def release_provider_queues(
    connection: "Connection", shards: Sequence[int], provider_queues: Sequence[str]
) -> None:
    """Decide anew about messages that wait for a provider which is not configured any more."""
    await connection.execute(
        "UPDATE message_waiting SET lane = ''"
        " WHERE shard = ANY($1::smallint[]) AND lane <> '' AND lane <> ALL($2::text[])",
        shards,
        provider_queues,
    )


async def expired(
    connection: "Connection", shards: Sequence[int], asked_before: datetime, limit: int
) -> list[Attempted]:
    """The messages that have waited longest of those that waited too long, none that is being sent.

    Along the index on asked_at: what is read does not grow with what waits.
    """
    rows = await connection.fetch(
        "SELECT case_id, recipient, seq, attempts"
        " FROM message_waiting WHERE asked_at < $2 AND shard = ANY($1::smallint[])"
        " AND sending_by IS NULL ORDER BY asked_at LIMIT $3",
        shards,
        asked_before,
        limit,
    )
    return sorted(Attempted(*row) for row in rows)


class Waiting(NamedTuple):
    """How many messages are not at their end, and since when the oldest of them waits."""

    messages: int
    oldest_asked_at: datetime | None


async def waiting(connection: "Connection", at_most: int) -> Waiting:
    """Of all shards; counted no further than `at_most`."""
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM (SELECT FROM message_waiting LIMIT $1) w),"
        " (SELECT min(asked_at) FROM message_waiting)",
        at_most,
    )
    assert row is not None
    return Waiting(*row)
