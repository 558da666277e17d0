"""What reporters have said about closings."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lastmetre.common.contracts.cases import CaseRated, CaseReopened
from lastmetre.notify.domain.ratings import Closing, Rating

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


_FIRST_REPORTER: Final = UUID(int=0)
"""Stands for the report that the case was registered for."""


async def insert_rating(connection: "Connection", rating: Rating) -> bool:
    """Keep a rating; False if that reporter has rated the closing already, which stays."""
    return await insert_ratings(connection, [rating]) == 1


async def rating(connection: "Connection", closing: Closing) -> Rating | None:
    """What that reporter said about the closing, if anything."""
    row = await connection.fetchrow(
        "SELECT case_id, closing, feedback_id, solved, score, reopen, given_at, recorded_at,"
        " reopened, reopening_id, reopening_asked_at FROM rating"
        " WHERE case_id = $1 AND closing = $2 AND report_id = $3",
        closing.case_id,
        closing.seq,
        closing.report_id or _FIRST_REPORTER,
    )
    return Rating(**row, report_id=closing.report_id) if row else None


async def ask_reopening(connection: "Connection", closing: Closing, asked_at: datetime) -> bool:
    """Note that a closing is to be taken up again by whoever has rated it; False if he has asked
    for that already, or has not rated it."""
    status = await connection.execute(
        "UPDATE rating SET reopening_id = $4, reopening_asked_at = $5"
        " WHERE case_id = $1 AND closing = $2 AND report_id = $3 AND reopening_id IS NULL",
        closing.case_id,
        closing.seq,
        closing.report_id or _FIRST_REPORTER,
        closing.reopening_id,
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
    """Cases that a resident's rating of these closings took up again: whoever asked for that has
    it."""
    await connection.execute(
        """
        UPDATE rating r SET reopened = true
        FROM unnest($1::uuid[], $2::int[]) AS n(case_id, closing)
        WHERE (r.case_id, r.closing) = (n.case_id, n.closing)
            AND (r.reopen OR r.reopening_id IS NOT NULL)
        """,
        [each.case_id for each in reopened],
        [each.closing for each in reopened],
    )


async def insert_ratings(connection: "Connection", ratings: Sequence[Rating]) -> int:
    """Keep ratings; a second one by the same reporter of the same closing changes nothing. Returns
    how many are new."""
    status = await connection.execute(
        "INSERT INTO rating"
        " (case_id, closing, feedback_id, solved, score, reopen, given_at, report_id)"
        " SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::bool[], $5::smallint[],"
        " $6::bool[], $7::timestamptz[], $8::uuid[]) ON CONFLICT DO NOTHING",
        [each.case_id for each in ratings],
        [each.closing for each in ratings],
        [each.feedback_id for each in ratings],
        [each.solved for each in ratings],
        [each.score for each in ratings],
        [each.reopen for each in ratings],
        [each.given_at for each in ratings],
        [each.report_id or _FIRST_REPORTER for each in ratings],
    )
    return int(status.split()[-1])
