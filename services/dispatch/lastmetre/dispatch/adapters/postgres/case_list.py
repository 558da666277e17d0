"""Lists of cases for the command centre: by view and by what a filter asks for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lastmetre.common.contracts.case_model import Case
from lastmetre.dispatch.adapters.postgres.cases import SELECT_CASE, case_of
from lastmetre.dispatch.domain.case_filter import CaseFilter, ViewName

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

_VIEWS: Final[dict[ViewName, str]] = {
    "waiting": "is_open AND lead_id IS NULL",
    "unaccepted": "is_open AND state = 'dispatched'",
    "open": "is_open",
    "closed": "NOT is_open",
}
# Ids follow the time of registration, so the newest of the closed ones need no sort.
_ORDERS: Final[dict[ViewName, str]] = {
    "waiting": "reported_at, case_id",
    "unaccepted": "reported_at, case_id",
    "open": "reported_at, case_id",
    "closed": "case_id DESC",
}
_FILTER: Final = """
    ($1::text IS NULL OR area_id = $1) AND ($2::text IS NULL OR lead_id = $2)
    AND ($3::text IS NULL OR category = $3) AND ($4::text IS NULL OR channel = $4)
"""


async def listed(
    connection: "Connection", wanted: CaseFilter, limit: int, offset: int
) -> list[Case]:
    """The open ones that have waited longest first, of the others the newest first."""
    view, *values = wanted
    rows = await connection.fetch(
        f"{SELECT_CASE} WHERE {_VIEWS[view]} AND {_FILTER}"
        f" ORDER BY {_ORDERS[view]} LIMIT $5 OFFSET $6",
        *values,
        limit,
        offset,
    )
    return [case_of(row) for row in rows]


async def open_counts_by_view(connection: "Connection") -> dict[ViewName, int]:
    """How many cases each view of open ones has in all."""
    row = await connection.fetchrow(
        f"""
        SELECT count(*) FILTER (WHERE {_VIEWS["waiting"]}) AS waiting,
               count(*) FILTER (WHERE {_VIEWS["unaccepted"]}) AS unaccepted,
               count(*) AS open
        FROM "case" WHERE is_open
        """  # noqa: S608
    )
    assert row is not None
    return {"waiting": row["waiting"], "unaccepted": row["unaccepted"], "open": row["open"]}


async def counted(connection: "Connection", wanted: CaseFilter) -> int:
    """How many open cases a filter leaves."""
    view, *values = wanted
    count: int = await connection.fetchval(
        f'SELECT count(*) FROM "case" WHERE {_VIEWS[view]} AND {_FILTER}',  # noqa: S608
        *values,
    )
    return count


async def kinds_in_use(connection: "Connection") -> Sequence[str]:
    """The categories of open cases."""
    rows = await connection.fetch('SELECT DISTINCT category FROM "case" WHERE is_open')
    return [row[0] for row in rows]


async def numbers_of(connection: "Connection", case_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The numbers of these cases."""
    rows = await connection.fetch(
        'SELECT case_id, number FROM "case" WHERE case_id = ANY($1::uuid[])', case_ids
    )
    return {row[0]: row[1] for row in rows}
