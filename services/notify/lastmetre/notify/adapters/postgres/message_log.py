"""Messages as people read them: those about a case, and the latest of all."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.notify.adapters.postgres.asking import ReporterColumns, reporter_of
from lastmetre.notify.domain.stored_messages import StoredMessage

if TYPE_CHECKING:
    import asyncpg

    from lastmetre.common.postgres.database import Connection


_WAITING: Final = """
    SELECT w.case_id, s.number, s.report_id, s.language, s.category, w.seq, w.recipient, w.kind,
        w.lead_zh, w.lead_en,
        CASE WHEN w.sending_by IS NULL THEN 'pending' ELSE 'sending' END AS state,
        w.sending_by AS provider, w.attempts, w.error, w.occurred_at, w.asked_at, w.not_before,
        s.merged::text AS merged
    FROM message_waiting w JOIN subject s USING (case_id)
"""
_DONE: Final = """
    SELECT d.case_id, s.number, s.report_id, s.language, s.category, d.seq, d.recipient, d.kind,
        d.lead_zh, d.lead_en, d.result AS state, d.provider,
        NULL::int AS attempts, d.error, d.occurred_at, NULL::timestamptz AS asked_at,
        NULL::timestamptz AS not_before, s.merged::text AS merged
    FROM message_done d JOIN subject s USING (case_id)
"""


async def messages_of(connection: "Connection", case_id: UUID) -> list[StoredMessage]:
    """Every message about a case, in order of the events."""
    rows = await connection.fetch(
        f"{_WAITING} WHERE case_id = $1 UNION ALL {_DONE} WHERE case_id = $1"
        " ORDER BY seq, recipient DESC",
        case_id,
    )
    return [_stored(row) for row in rows]


def _stored(row: "asyncpg.Record") -> StoredMessage:
    message = StoredMessage(*row[:-1])
    own = ReporterColumns(message.report_id, message.language)
    return message._replace(**reporter_of(message.recipient, own, row["merged"])._asdict())


async def latest_waiting(connection: "Connection", limit: int) -> list["asyncpg.Record"]:
    """Messages on their way, the one longest due first."""
    return await connection.fetch(f"{_WAITING} ORDER BY w.asked_at LIMIT $1", limit)


async def latest_done(
    connection: "Connection", results: Sequence[str], before: datetime | None, limit: int
) -> list["asyncpg.Record"]:
    """The last messages of each of these results that ended before an instant, newest first."""
    return await connection.fetch(
        f"""
        SELECT latest.* FROM unnest($1::text[]) AS wanted(result) CROSS JOIN LATERAL (
            {_DONE} WHERE d.result = wanted.result
                AND d.occurred_at < coalesce($2::timestamptz, 'infinity')
            ORDER BY d.occurred_at DESC LIMIT $3
        ) latest ORDER BY latest.occurred_at DESC LIMIT $3
        """,  # noqa: S608
        results,
        before,
        limit,
    )


async def done_counts(connection: "Connection", since: datetime) -> dict[str, int]:
    """How many messages have come to each end since then; which nothing came to is left out."""
    rows = await connection.fetch(
        "SELECT result, count(*) FROM message_done WHERE occurred_at >= $1 AND result = ANY($2)"
        " GROUP BY result",
        since,
        [each.value for each in DeliveryResult],
    )
    return {row[0]: row[1] for row in rows}


async def waiting_counts(connection: "Connection") -> dict[str, int]:
    """How many messages wait, and how many of them have been tried in vain."""
    row = await connection.fetchrow(
        "SELECT count(*) AS waiting, count(*) FILTER (WHERE error IS NOT NULL) AS held_up"
        " FROM message_waiting"
    )
    return dict(row) if row else {}
