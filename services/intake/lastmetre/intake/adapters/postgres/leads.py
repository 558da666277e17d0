"""The leads' contacts, sealed."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


async def put(
    connection: "Connection", contacts: Sequence[tuple[str, bytes]], now: datetime
) -> None:
    """Keep the contacts of these leads, each named once, in place of earlier ones."""
    in_order = sorted(contacts)
    await connection.execute(
        """
        INSERT INTO lead_contact (lead_id, sealed, changed_at)
        SELECT lead_id, sealed, $3 FROM unnest($1::text[], $2::bytea[]) AS new (lead_id, sealed)
        ON CONFLICT (lead_id) DO UPDATE
            SET sealed = excluded.sealed, changed_at = excluded.changed_at
        """,
        [lead_id for lead_id, _ in in_order],
        [sealed for _, sealed in in_order],
        now,
    )


async def sealed_of(connection: "Connection", lead_ids: Sequence[str]) -> dict[str, bytes]:
    """What the vault holds of these leads."""
    rows = await connection.fetch(
        "SELECT lead_id, sealed FROM lead_contact WHERE lead_id = ANY($1::text[])", lead_ids
    )
    return {row[0]: row[1] for row in rows}
