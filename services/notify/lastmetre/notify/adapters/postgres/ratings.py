"""What reporters have said about closings."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from lastmetre.common.contracts.cases import CaseRated, CaseReopened
from lastmetre.notify.domain.ratings import Rating

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


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


async def insert_ratings(connection: "Connection", ratings: Sequence[Rating]) -> int:
    """Keep ratings; one of a closing that has one changes nothing. Returns how many are new."""
    status = await connection.execute(
        "INSERT INTO rating (case_id, closing, feedback_id, solved, score, reopen, given_at)"
        " SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::bool[], $5::smallint[],"
        " $6::bool[], $7::timestamptz[]) ON CONFLICT DO NOTHING",
        [each.case_id for each in ratings],
        [each.closing for each in ratings],
        [each.feedback_id for each in ratings],
        [each.solved for each in ratings],
        [each.score for each in ratings],
        [each.reopen for each in ratings],
        [each.given_at for each in ratings],
    )
    return int(status.split()[-1])
