"""How often something was tried that anybody may try (table `attempt`)."""

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


async def count(
    connection: "Connection", kind: str, counted: bytes, window_begins: datetime, by: int
) -> int:
    """Add `by` to what was counted in that window; returns what it comes to."""
    attempts: int = await connection.fetchval(
        """
        INSERT INTO attempt AS a (kind, counted, window_begins, attempts) VALUES ($1, $2, $3, $4)
        ON CONFLICT (kind, counted, window_begins)
            DO UPDATE SET attempts = greatest(a.attempts + $4, 0)
        RETURNING attempts
        """,
        kind,
        counted,
        window_begins,
        by,
    )
    return attempts


async def forget_before(connection: "Connection", window_begins: datetime) -> None:
    """Windows that began earlier are over."""
    await connection.execute("DELETE FROM attempt WHERE window_begins < $1", window_begins)
