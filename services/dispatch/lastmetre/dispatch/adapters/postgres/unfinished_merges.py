"""Cases of which our own log may hold one half of a merge or a split."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from lastmetre.common.contracts.case_model import EVENT_TYPES
from lastmetre.common.contracts.cases import CaseEvent

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


async def mark(connection: "Connection", case_ids: Iterable[UUID]) -> None:
    """They are to be looked at."""
    await connection.execute(
        "INSERT INTO unfinished_merge SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING",
        list(case_ids),
    )


async def marked(connection: "Connection", limit: int) -> list[UUID]:
    """Cases marked so, theirs kept from other processes until the transaction ends."""
    rows = await connection.fetch(
        "SELECT case_id FROM unfinished_merge ORDER BY case_id LIMIT $1 FOR UPDATE SKIP LOCKED",
        limit,
    )
    return [row[0] for row in rows]


async def forget(connection: "Connection", case_ids: Sequence[UUID]) -> None:
    """They have been looked at."""
    await connection.execute(
        "DELETE FROM unfinished_merge WHERE case_id = ANY($1::uuid[])", case_ids
    )


async def events_of(
    connection: "Connection", case_ids: Sequence[UUID], types: Sequence[str]
) -> list[CaseEvent]:
    """What the ledgers of these cases hold of these types, each in its order."""
    rows = await connection.fetch(
        "SELECT type, body FROM ledger WHERE case_id = ANY($1::uuid[]) AND type = ANY($2::text[])"
        " AND body IS NOT NULL ORDER BY case_id, seq",
        case_ids,
        types,
    )
    return [EVENT_TYPES[row[0]].from_json(row[1]) for row in rows]
