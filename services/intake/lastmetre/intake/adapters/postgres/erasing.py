"""Erases what is personal of reports; that they were, and what became of them, stays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lastmetre.common.contracts.case_model import ENDED, STATE_AFTER_NAME
from lastmetre.intake.adapters.postgres import photos
from lastmetre.intake.adapters.postgres.cases import CASE_OF_REPORT

if TYPE_CHECKING:
    from datetime import datetime

    from lastmetre.common.postgres.database import Connection

_ENDING: Final = [name for name, state in STATE_AFTER_NAME.items() if state in ENDED]
"""Last steps of a case that nobody is told anything more of."""
_STEPS: Final = [name for name, state in STATE_AFTER_NAME.items() if state is not None]


async def kept_before(
    connection: "Connection", before: "datetime", after: UUID | None, limit: int
) -> list[UUID]:
    """Reports in the vault that came before then and are at their end, in order behind `after`.

    A report that has joined a case is at its end with that case.
    """
    rows = await connection.fetch(
        f"""
        SELECT r.report_id FROM report r JOIN vault v USING (report_id) {CASE_OF_REPORT}
        WHERE r.appended_at < extract(epoch FROM $1::timestamptz) * 1000
            AND ($2::uuid IS NULL OR r.report_id > $2)
            AND (r.outcome = 'rejected' OR (
                SELECT e->>1 FROM timeline t, json_array_elements(t.events) AS e
                WHERE t.case_id = c.case_id AND e->>1 = ANY($5::text[])
                ORDER BY (e->>0)::int DESC LIMIT 1) = ANY($3::text[]))
        ORDER BY r.report_id LIMIT $4
        """,  # noqa: S608
        before,
        after,
        _ENDING,
        limit,
        _STEPS,
    )
    return [row[0] for row in rows]


async def forget(connection: "Connection", report_ids: Sequence[UUID]) -> int:
    """Erase contacts, texts and photos of these reports, and what staff have noted on their cases:
    nobody can tell whom it names. Returns of how many there was something."""
    status = await connection.execute(
        "DELETE FROM vault WHERE report_id = ANY($1::uuid[])", report_ids
    )
    await connection.execute(
        "UPDATE later_record SET sealed = NULL WHERE report_id = ANY($1::uuid[])"
        " AND sealed IS NOT NULL",
        report_ids,
    )
    await photos.forget(connection, report_ids)
    # A note is kept with the report that its case was registered for.
    await connection.execute(
        """
        DELETE FROM case_note WHERE report_id IN (
            SELECT unnest($1::uuid[]) UNION ALL
            SELECT c.report_id FROM merged_report m JOIN case_view c USING (case_id)
            WHERE m.report_id = ANY($1::uuid[]))
        """,
        report_ids,
    )
    await connection.execute(
        "UPDATE report SET sent_position = NULL WHERE report_id = ANY($1::uuid[])"
        " AND sent_position IS NOT NULL",
        report_ids,
    )
    return int(status.rpartition(" ")[2])


async def forget_dead_letters(connection: "Connection", before: "datetime") -> int:
    """Erase the bodies of dead letters that were replayed or closed before then; how many."""
    status = await connection.execute(
        "UPDATE dead_letter SET value = NULL, corrected_value = NULL"
        " WHERE coalesce(replayed_at, closed_at) < $1"
        " AND (value IS NOT NULL OR corrected_value IS NOT NULL)",
        before,
    )
    return int(status.rpartition(" ")[2])


async def dead_letters_waiting(connection: "Connection", before: "datetime") -> int:
    """Dead letters that died before then and still wait for a person, body and all."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM dead_letter"
        " WHERE replayed_at IS NULL AND closed_at IS NULL AND died_at < $1",
        before,
    )
    return count
