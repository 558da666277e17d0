"""One row of facts per case: read, added, changed, a batch at a time."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from itertools import compress
from operator import is_not
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

import asyncpg

from lastmetre.metrics.domain.fact import Fact

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

TABLE: Final = "fact"
COLUMNS: Final = Fact._fields
_ALL: Final = ", ".join(COLUMNS)
_TYPES: Final = {
    "seq": "int", "category": "text", "state": "text", "open": "boolean", "area_id": "text",
    "lead_id": "text",
    "unplaced_reason": "text", "dispatched_at": "timestamptz", "accepted_at": "timestamptz",
    "arrived_at": "timestamptz", "resolved_at": "timestamptz", "verified_at": "timestamptz",
    "closed_at": "timestamptz", "closing": "int", "cancelled_at": "timestamptz",
    "cancel_reason": "text", "returns": "int", "reopenings": "int", "rated_at": "timestamptz",
    "rated_closing": "int", "solved": "boolean", "score": "smallint",
    "closed_before_reported": "boolean", "fixed_on_spot": "boolean", "reports": "int",
}  # fmt: skip
_PLACES: Final = range(len(COLUMNS))


async def known(
    connection: "Connection", case_ids: Sequence[UUID], table: str = TABLE
) -> dict[UUID, Fact]:
    """The facts of these cases.

    Not locked: they change only with the position of their partition, which the caller holds.
    """
    rows = await connection.fetch(
        f"SELECT {_ALL} FROM {table} WHERE case_id = ANY($1::uuid[])",  # noqa: S608
        case_ids,
    )
    return {row[0]: Fact._make(row) for row in rows}


async def add(connection: "Connection", facts: Iterable[Fact], table: str = TABLE) -> None:
    """Insert the facts of cases that are new. Nobody else can add the same one: whoever holds
    the partition's position does."""
    await connection.copy_records_to_table(table, records=facts, columns=COLUMNS)


async def change(
    connection: "Connection", changes: Iterable[tuple[Fact, Fact]], table: str = TABLE
) -> None:
    """Update facts, each given as it was and as it is: only what differs is written."""
    alike: dict[tuple[int, ...], list[Fact]] = defaultdict(list)
    for was, fact in changes:
        alike[tuple(compress(_PLACES, map(is_not, was, fact)))].append(fact)
    for places, facts in alike.items():
        columns = list(zip(*facts, strict=True))
        await connection.execute(
            _update(table, places), columns[0], *(columns[at] for at in places)
        )


@cache
def _update(table: str, places: tuple[int, ...]) -> str:
    names = [COLUMNS[at] for at in places]
    arrays = ", ".join(f"${n}::{_TYPES[name]}[]" for n, name in enumerate(names, 2))
    return (
        f"UPDATE {table} f SET {', '.join(f'{name} = c.{name}' for name in names)}"  # noqa: S608
        f" FROM unnest($1::uuid[], {arrays}) AS c(case_id, {', '.join(names)})"
        " WHERE f.case_id = c.case_id"
    )


async def one(connection: "Connection", case_id: UUID) -> Fact | None:
    """The facts of a case."""
    row = await connection.fetchrow(
        f"SELECT {_ALL} FROM {TABLE} WHERE case_id = $1",  # noqa: S608
        case_id,
    )
    return Fact(*row) if row else None


async def page(connection: "Connection", after: UUID | None, limit: int) -> list[Fact]:
    """Facts by case id, beginning behind `after`."""
    rows = await connection.fetch(
        f"SELECT {_ALL} FROM {TABLE} WHERE case_id > $1 ORDER BY case_id LIMIT $2",  # noqa: S608
        after or UUID(int=0),
        limit,
    )
    return [Fact(*row) for row in rows]


class RecentActivity(NamedTuple):
    """The last step of a case."""

    case_id: UUID
    seq: int
    number: str
    channel: str
    area_id: str | None
    step: str
    moved_at: datetime


ACTIVITY_KEPT: Final = 40


async def record_recent_activity(
    connection: "Connection", activity: Sequence[RecentActivity]
) -> None:
    """Remember the last steps, one a case."""
    await connection.execute(
        """
        INSERT INTO movement
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[],
                             $6::text[], $7::timestamptz[])
        ON CONFLICT (case_id) DO UPDATE SET (seq, area_id, step, moved_at)
            = (excluded.seq, excluded.area_id, excluded.step, excluded.moved_at)
        """,
        *zip(*sorted(activity), strict=True),
    )


async def forget_old_activity(connection: "Connection") -> None:
    """Keep the newest steps. Several processes do this at once: rows that another one holds
    can stay a little longer."""
    await connection.execute(
        """
        DELETE FROM movement WHERE case_id = ANY (ARRAY(
            SELECT case_id FROM movement ORDER BY moved_at DESC OFFSET $1
            FOR UPDATE SKIP LOCKED))
        """,
        ACTIVITY_KEPT,
    )


async def recent_activity(connection: "Connection", limit: int) -> list[asyncpg.Record]:
    """The cases that moved last, newest first, with the names of their areas."""
    return await connection.fetch(
        "SELECT m.number, m.channel, m.step, m.moved_at, a.name_zh, a.name_en"
        " FROM movement m LEFT JOIN area a USING (area_id)"
        " ORDER BY m.moved_at DESC, m.seq DESC LIMIT $1",
        limit,
    )
