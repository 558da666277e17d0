"""Messages as people read them: those about a case, and the latest of all."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.notify.adapters.postgres.asking import ReporterColumns, category_of, reporter_of
from lastmetre.notify.adapters.postgres.sending_again import asked_again
from lastmetre.notify.domain.stored_messages import FIRST_TIME, LogPlace, StoredMessage

if TYPE_CHECKING:
    import asyncpg

    from lastmetre.common.postgres.database import Connection

_BEFORE_ALL: Final = LogPlace(True, datetime(1, 1, 2, tzinfo=UTC), FIRST_TIME, "", 0, FIRST_TIME)
_AFTER_ALL: Final = LogPlace(
    False, datetime(9999, 12, 30, tzinfo=UTC), FIRST_TIME, "", 0, FIRST_TIME
)

_WAITING: Final = f"""
    SELECT w.case_id, s.number, s.report_id, s.language, {category_of("w")},
        w.seq, w.recipient, w.kind,
        w.lead_zh, w.lead_en,
        CASE WHEN w.sending_by IS NULL THEN 'pending' ELSE 'sending' END AS state,
        w.sending_by AS provider, w.attempts, w.error, w.occurred_at, w.asked_at, w.not_before,
        false AS superseded, a.request_id, a.asked_role, a.asked_by, a.asked_at AS asked_again_at,
        s.merged::text AS merged
    FROM message_waiting w JOIN subject s USING (case_id)
        LEFT JOIN message_again a ON a.request_id = w.again
"""  # noqa: S608
_DONE: Final = f"""
    SELECT d.case_id, s.number, s.report_id, s.language, {category_of("d")},
        d.seq, d.recipient, d.kind,
        d.lead_zh, d.lead_en, d.result AS state, d.provider,
        NULL::int AS attempts, d.error, d.occurred_at, NULL::timestamptz AS asked_at,
        NULL::timestamptz AS not_before,
        EXISTS (SELECT FROM message_again g WHERE g.case_id = d.case_id
            AND g.recipient = d.recipient AND g.seq = d.seq) AS superseded,
        NULL::uuid AS request_id, NULL::text AS asked_role, NULL::text AS asked_by,
        NULL::timestamptz AS asked_again_at, s.merged::text AS merged
    FROM message_done d JOIN subject s USING (case_id)
"""  # noqa: S608
_AGAIN: Final = f"""
    SELECT a.case_id, s.number, s.report_id, s.language, {category_of("a")},
        a.seq, a.recipient, d.kind,
        d.lead_zh, d.lead_en, a.result AS state, a.provider,
        NULL::int AS attempts, a.error, a.occurred_at, NULL::timestamptz AS asked_at,
        NULL::timestamptz AS not_before,
        EXISTS (SELECT FROM message_again g WHERE g.case_id = a.case_id
            AND g.recipient = a.recipient AND g.seq = a.seq
            AND (g.asked_at, g.request_id) > (a.asked_at, a.request_id)) AS superseded,
        a.request_id, a.asked_role, a.asked_by, a.asked_at AS asked_again_at,
        s.merged::text AS merged
    FROM message_again a JOIN message_done d USING (case_id, recipient, seq)
        JOIN subject s USING (case_id)
"""  # noqa: S608


async def messages_of(connection: "Connection", case_id: UUID) -> list[StoredMessage]:
    """Every message about a case, in order of the events; what was sent again behind its first."""
    rows = await connection.fetch(
        f"{_DONE} WHERE d.case_id = $1 UNION ALL {_WAITING} WHERE w.case_id = $1"
        f" UNION ALL {_AGAIN} WHERE a.case_id = $1 AND a.result IS NOT NULL"
        " ORDER BY seq, recipient DESC, asked_again_at NULLS FIRST",
        case_id,
    )
    return [_stored(row) for row in rows]


def _stored(row: "asyncpg.Record") -> StoredMessage:
    *columns, superseded, request_id, role, actor, asked_at, merged = row
    asked = None if request_id is None else asked_again(request_id, role, actor, asked_at)
    message = StoredMessage._make([*columns, asked, superseded])
    own = ReporterColumns(message.report_id, message.language)
    return message._replace(**reporter_of(message.recipient, own, merged)._asdict())


async def case_numbered(connection: "Connection", number: str) -> UUID | None:
    """The case that people know by `number`, if it is known here."""
    found: UUID | None = await connection.fetchval(
        "SELECT case_id FROM subject WHERE number = $1", number
    )
    return found


async def waiting_from(
    connection: "Connection", behind: LogPlace | None, limit: int
) -> list[StoredMessage]:
    """Messages on their way behind a place, the longest asked for first."""
    rows = await connection.fetch(
        f"{_WAITING} WHERE w.asked_at >= $1"
        " AND (w.asked_at, w.case_id, w.recipient, w.seq) > ($1, $2, $3, $4)"
        " ORDER BY w.asked_at, w.case_id, w.recipient, w.seq LIMIT $5",
        *(behind or _BEFORE_ALL)[1:5],
        limit,
    )
    return [_stored(row) for row in rows]


async def ended_from(
    connection: "Connection", results: Sequence[str], behind: LogPlace | None, limit: int
) -> list[StoredMessage]:
    """Messages that ended in one of these ways behind a place, the newest first."""
    rows = await connection.fetch(
        f"""
        SELECT latest.* FROM unnest($1::text[]) AS wanted(result) CROSS JOIN LATERAL (
            ({_DONE} WHERE d.result = wanted.result AND d.occurred_at <= $2
                AND (d.occurred_at, d.case_id, d.recipient, d.seq, $7::uuid)
                    < ($2, $3, $4, $5, $6::uuid)
            ORDER BY d.occurred_at DESC, d.case_id DESC, d.recipient DESC, d.seq DESC LIMIT $8)
            UNION ALL
            ({_AGAIN} WHERE a.result = wanted.result AND a.occurred_at <= $2
                AND (a.occurred_at, a.case_id, a.recipient, a.seq, a.request_id)
                    < ($2, $3, $4, $5, $6::uuid)
            ORDER BY a.occurred_at DESC, a.case_id DESC, a.recipient DESC, a.seq DESC,
                a.request_id DESC LIMIT $8)
        ) latest ORDER BY latest.occurred_at DESC, latest.case_id DESC, latest.recipient DESC,
            latest.seq DESC, coalesce(latest.request_id, $7::uuid) DESC LIMIT $8
        """,  # noqa: S608
        results,
        *(behind or _AFTER_ALL)[1:],
        FIRST_TIME,
        limit,
    )
    return [_stored(row) for row in rows]


async def ended_counts(connection: "Connection", since: datetime) -> dict[str, int]:
    """How many messages have come to each end since then; which nothing came to is left out."""
    rows = await connection.fetch(
        "SELECT result, sum(messages)::int FROM ("
        " SELECT result, count(*) AS messages FROM message_done"
        " WHERE occurred_at >= $1 AND result = ANY($2) GROUP BY result"
        " UNION ALL SELECT result, count(*) FROM message_again"
        " WHERE occurred_at >= $1 AND result = ANY($2) GROUP BY result) ended GROUP BY result",
        since,
        [each.value for each in DeliveryResult],
    )
    return {row[0]: row[1] for row in rows}


class WaitingCounts(NamedTuple):
    """How many messages wait, and how many of them have been tried in vain."""

    messages: int
    held_up: int


async def waiting_counts(connection: "Connection") -> WaitingCounts:
    """Of all cases."""
    row = await connection.fetchrow(
        "SELECT count(*), count(*) FILTER (WHERE error IS NOT NULL) FROM message_waiting"
    )
    assert row is not None
    return WaitingCounts(*row)
