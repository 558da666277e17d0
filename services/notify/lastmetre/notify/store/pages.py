"""What the pages and the API read and write."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

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
        "SELECT case_id, closing, feedback_id, solved, score, reopen, given_at FROM rating"
        " WHERE case_id = $1 AND closing = $2",
        case_id,
        closing,
    )
    return Rating(**row) if row else None


_WAITING: Final = """
    SELECT w.case_id, s.number, w.seq, w.recipient, w.kind,
        CASE WHEN w.sending_by IS NULL THEN 'pending' ELSE 'sending' END AS state,
        w.sending_by AS provider, w.attempts, w.error, w.occurred_at, w.asked_at, w.not_before
    FROM message_waiting w JOIN subject s USING (case_id)
"""
_DONE: Final = """
    SELECT d.case_id, s.number, d.seq, d.recipient, d.kind, d.result AS state, d.provider,
        NULL::int AS attempts, d.error, d.occurred_at, NULL::timestamptz AS asked_at,
        NULL::timestamptz AS not_before
    FROM message_done d JOIN subject s USING (case_id)
"""


async def messages_of(connection: "Connection", case_id: UUID) -> list["asyncpg.Record"]:
    """Every message about a case, in order of the events."""
    return await connection.fetch(
        f"{_WAITING} WHERE case_id = $1 UNION ALL {_DONE} WHERE case_id = $1"
        " ORDER BY seq, recipient DESC",
        case_id,
    )


async def latest_waiting(connection: "Connection", limit: int) -> list["asyncpg.Record"]:
    """Messages on their way, the one longest due first."""
    return await connection.fetch(f"{_WAITING} ORDER BY w.asked_at LIMIT $1", limit)


async def latest_done(
    connection: "Connection", results: Sequence[str], limit: int
) -> list["asyncpg.Record"]:
    """The last messages of each of these results, newest first."""
    return await connection.fetch(
        f"""
        SELECT latest.* FROM unnest($1::text[]) AS wanted(result) CROSS JOIN LATERAL (
            {_DONE} WHERE d.result = wanted.result ORDER BY d.occurred_at DESC LIMIT $2
        ) latest ORDER BY latest.occurred_at DESC LIMIT $2
        """,  # noqa: S608
        results,
        limit,
    )


async def waiting_counts(connection: "Connection") -> dict[str, int]:
    """How many messages wait, and how many of them have been tried in vain."""
    row = await connection.fetchrow(
        "SELECT count(*) AS waiting, count(*) FILTER (WHERE error IS NOT NULL) AS held_up"
        " FROM message_waiting"
    )
    return dict(row) if row else {}
