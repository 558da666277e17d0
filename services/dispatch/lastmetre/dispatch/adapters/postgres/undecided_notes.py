"""Notes whose words are in the vault while nobody has seen yet whether they stand on a case."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


async def asked(connection: "Connection", note_id: UUID, now: datetime) -> None:
    """Somebody asks for this note; waits for whoever is erasing its words, who sees it after that
    as asked for now."""
    await connection.execute(
        "INSERT INTO undecided_note (note_id, asked_at) VALUES ($1, $2)"
        " ON CONFLICT (note_id) DO UPDATE SET asked_at = excluded.asked_at",
        note_id,
        now,
    )


async def forget_decided(connection: "Connection") -> None:
    """Drop those that stand on a case."""
    await connection.execute(
        "DELETE FROM undecided_note USING answer"
        " WHERE request_id = note_id AND kind = 'note' AND refusal IS NULL"
    )


async def take_unused(connection: "Connection", before: datetime, limit: int) -> list[UUID]:
    """Take out those that were refused, and those asked for before then that nobody has decided or
    holds. They are back if this is not committed; until then nobody can ask for them again."""
    rows = await connection.fetch(
        """
        DELETE FROM undecided_note WHERE note_id IN (
            SELECT note_id FROM undecided_note u WHERE
                NOT EXISTS (SELECT FROM held_action h
                            WHERE h.action_id = u.note_id AND h.refusal IS NULL)
                AND CASE WHEN EXISTS (SELECT FROM answer a
                                      WHERE a.request_id = u.note_id AND a.kind <> 'feedback')
                    THEN NOT EXISTS (SELECT FROM answer a WHERE a.request_id = u.note_id
                                     AND a.kind = 'note' AND a.refusal IS NULL)
                    ELSE u.asked_at < $1 END
            LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING note_id
        """,
        before,
        limit,
    )
    return [row[0] for row in rows]
