"""What the pages and the API read and write."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from lastmetre.common.contracts.cases import CaseRated, CaseReopened
from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.notify.adapters.postgres.asking import ReporterColumns, reporter_of

if TYPE_CHECKING:
    import asyncpg

    from lastmetre.common.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Rating:
    """What a reporter said about a closing."""

    case_id: UUID
    closing: int
    feedback_id: UUID
    solved: bool
    score: int
    reopen: bool
    given_at: datetime
    recorded_at: datetime | None = None
    """When it was known to stand in the ledger; None before that."""
    reopened: bool = False
    """Whether the case was taken up again for it."""
    reopening_id: UUID | None = None
    """The later feedback that asked for that, if one did."""
    reopening_asked_at: datetime | None = None


async def insert_rating(connection: "Connection", rating: Rating) -> bool:
    """Keep a rating; False if that closing has one already, which stays."""
    status = await connection.execute(
        "INSERT INTO rating (case_id, closing, feedback_id, solved, score, reopen, given_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        rating.case_id,
        rating.closing,
        rating.feedback_id,
        rating.solved,
        rating.score,
        rating.reopen,
        rating.given_at,
    )
    return status == "INSERT 0 1"


async def rating(connection: "Connection", case_id: UUID, closing: int) -> Rating | None:
    """What was said about that closing, if anything."""
    row = await connection.fetchrow(
        "SELECT case_id, closing, feedback_id, solved, score, reopen, given_at, recorded_at,"
        " reopened, reopening_id, reopening_asked_at FROM rating"
        " WHERE case_id = $1 AND closing = $2",
        case_id,
        closing,
    )
    return Rating(**row) if row else None


async def ask_reopening(
    connection: "Connection", case_id: UUID, closing: int, reopening_id: UUID, asked_at: datetime
) -> bool:
    """Note that a rated closing is to be taken up again; False if that was asked already, or if
    nobody has rated it."""
    status = await connection.execute(
        "UPDATE rating SET reopening_id = $3, reopening_asked_at = $4"
        " WHERE case_id = $1 AND closing = $2 AND reopening_id IS NULL",
        case_id,
        closing,
        reopening_id,
        asked_at,
    )
    return status == "UPDATE 1"


async def note_recorded(
    connection: "Connection", rated: Sequence[CaseRated], now: datetime
) -> None:
    """These entries of the ledger are what was given here; another's under its id is not."""
    await connection.execute(
        """
        UPDATE rating r SET recorded_at = coalesce(r.recorded_at, $6)
        FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::bool[], $5::int[])
            AS n(case_id, feedback_id, closing, solved, score)
        WHERE (r.case_id, r.closing, r.feedback_id, r.solved, r.score)
            = (n.case_id, n.closing, n.feedback_id, n.solved, n.score)
        """,
        [each.case_id for each in rated],
        [each.feedback_id for each in rated],
        [each.closing for each in rated],
        [each.solved for each in rated],
        [each.score for each in rated],
        now,
    )


async def note_reopened(connection: "Connection", reopened: Sequence[CaseReopened]) -> None:
    """Cases that a resident's rating of these closings took up again."""
    await connection.execute(
        """
        UPDATE rating r SET reopened = true
        FROM unnest($1::uuid[], $2::int[]) AS n(case_id, closing)
        WHERE (r.case_id, r.closing) = (n.case_id, n.closing)
        """,
        [each.case_id for each in reopened],
        [each.closing for each in reopened],
    )


class StoredMessage(NamedTuple):
    """A message about a case, waiting or at its end. What only one of the two has is None."""

    case_id: UUID
    number: str
    report_id: UUID
    """Of the reporter, or of the case where the recipient is a lead."""
    language: str
    category: str
    seq: int
    recipient: str
    kind: str
    lead_zh: str | None
    lead_en: str | None
    state: str
    provider: str | None
    attempts: int | None
    error: str | None
    occurred_at: datetime
    asked_at: datetime | None
    not_before: datetime | None


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
