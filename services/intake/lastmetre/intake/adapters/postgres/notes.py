"""What staff have noted on cases, sealed."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


async def put(
    connection: "Connection", note_id: UUID, report_id: UUID, sealed: bytes, now: datetime
) -> bool:
    """Keep a note; what is kept under that id already stays. False for a report of which the vault
    holds nothing: then nothing personal is added to it."""
    known: bool = await connection.fetchval(
        """
        WITH known AS (SELECT report_id FROM vault WHERE report_id = $2 FOR SHARE),
            kept AS (
                INSERT INTO case_note (note_id, report_id, sealed, kept_at)
                SELECT $1, report_id, $3, $4 FROM known ON CONFLICT (note_id) DO NOTHING)
        SELECT EXISTS (SELECT FROM known)
        """,
        note_id,
        report_id,
        sealed,
        now,
    )
    return known


async def sealed_of(connection: "Connection", note_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """Those of these notes that are kept."""
    rows = await connection.fetch(
        "SELECT note_id, sealed FROM case_note WHERE note_id = ANY($1::uuid[])", note_ids
    )
    return {row[0]: row[1] for row in rows}


async def remove(connection: "Connection", note_ids: Sequence[UUID]) -> None:
    """Erase these notes."""
    await connection.execute("DELETE FROM case_note WHERE note_id = ANY($1::uuid[])", note_ids)
