"""What the youngest verified backup brings back."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from lastmetre.intake.domain.read_position import ReadPosition

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


async def read_positions(connection: "Connection", flow: str) -> list[ReadPosition]:
    """All stored positions of the flow at this moment."""
    rows = await connection.fetch(
        """
        SELECT topic, partition, next_offset, topic_id FROM position WHERE flow = $1
        ORDER BY topic, partition
        """,
        flow,
    )
    return [ReadPosition(*row) for row in rows]


async def begun_at(connection: "Connection") -> datetime | None:
    """When the confirmed backup was begun; None without one."""
    found: datetime | None = await connection.fetchval("SELECT begun_at FROM confirmed_backup")
    return found


async def confirm(
    connection: "Connection",
    name: str,
    begun: datetime,
    positions: Sequence[ReadPosition],
    now: datetime,
) -> bool:
    """Note this backup unless a younger one is noted; returns whether it is the one noted now.

    Within a transaction.
    """
    noted = await connection.fetchval(
        """
        INSERT INTO confirmed_backup (name, begun_at, confirmed_at) VALUES ($1, $2, $3)
        ON CONFLICT (only_one) DO UPDATE
            SET name = excluded.name, begun_at = excluded.begun_at,
                confirmed_at = excluded.confirmed_at
            WHERE confirmed_backup.begun_at <= excluded.begun_at
        RETURNING true
        """,
        name,
        begun,
        now,
    )
    if not noted:
        return False
    await connection.execute("DELETE FROM confirmed_position")
    await connection.executemany(
        "INSERT INTO confirmed_position (topic, partition, next_offset, topic_id)"
        " VALUES ($1, $2, $3, $4)",
        positions,
    )
    return True
