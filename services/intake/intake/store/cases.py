"""The ledger as residents see it: one row a case, one an event."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import asyncpg
from pydantic_core import from_json, to_json

from common.contracts.cases import PublishedLead
from intake.domain.case_view import CaseView, Entry

if TYPE_CHECKING:
    from common.runtime.database import Connection


async def lock(connection: "Connection", case_ids: Sequence[UUID]) -> dict[UUID, CaseView]:
    """The views of these cases, locked in key order."""
    rows = await connection.fetch(
        """
        SELECT case_id, report_id, number, seq, state, area_id, lead
        FROM case_view WHERE case_id = ANY($1::uuid[]) ORDER BY case_id FOR UPDATE
        """,
        case_ids,
    )
    return {row["case_id"]: _view(row) for row in rows}


def _view(row: asyncpg.Record) -> CaseView:
    return CaseView(
        row["case_id"],
        row["report_id"],
        row["number"],
        row["seq"],
        row["state"],
        row["area_id"],
        PublishedLead.model_validate_json(row["lead"]) if row["lead"] else None,
    )


async def put(connection: "Connection", views: Sequence[CaseView]) -> None:
    """Write views as they are now."""
    in_order = sorted(views, key=lambda view: view.case_id)
    await connection.execute(
        """
        INSERT INTO case_view AS v (case_id, report_id, number, seq, state, area_id, lead)
        SELECT case_id, report_id, number, seq, state, area_id, lead::jsonb
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::text[], $6::text[],
            $7::text[]) AS new (case_id, report_id, number, seq, state, area_id, lead)
        ON CONFLICT (case_id) DO UPDATE SET seq = excluded.seq, state = excluded.state,
            area_id = excluded.area_id, lead = excluded.lead
        """,
        [view.case_id for view in in_order],
        [view.report_id for view in in_order],
        [view.number for view in in_order],
        [view.seq for view in in_order],
        [view.state for view in in_order],
        [view.area_id for view in in_order],
        [view.lead.model_dump_json() if view.lead else None for view in in_order],
    )


async def append_timeline(connection: "Connection", entries: Sequence[Entry]) -> None:
    """Add events in sequence, none of which is there yet."""
    await connection.copy_records_to_table(
        "timeline",
        records=[
            (e.case_id, e.seq, e.type, e.occurred_at, e.recorded_at, to_json(e.details).decode())
            for e in entries
        ],
        columns=("case_id", "seq", "type", "occurred_at", "recorded_at", "details"),
    )


class Followed(NamedTuple):
    """A report with what became of it, as its reporter may see it."""

    report_id: UUID
    identity: bytes
    channel: str
    outcome: str
    reasons: list[str]
    category: str
    reported_at: datetime
    latitude: float | None
    longitude: float | None
    view: CaseView | None
    timeline: list[Entry]


_FOLLOWED = """
    SELECT r.report_id, r.identity, r.channel, r.outcome, r.reasons, r.category, r.reported_at,
        r.latitude, r.longitude, c.case_id, c.number, c.seq, c.state, c.area_id, c.lead
    FROM report r LEFT JOIN case_view c USING (report_id)
"""


async def followed(connection: "Connection", identity: bytes) -> Followed | None:
    """The report with this identity, its case and timeline; None if it was not read yet."""
    row = await connection.fetchrow(f"{_FOLLOWED} WHERE r.identity = $1", identity)
    if row is None:
        return None
    view = None if row["case_id"] is None else _view(row)
    # Of two statements the second may see more: the timeline ends where the view stands.
    events = [] if view is None else await timeline(connection, view.case_id, view.seq)
    return Followed(
        row["report_id"],
        row["identity"],
        row["channel"],
        row["outcome"],
        row["reasons"],
        row["category"],
        row["reported_at"],
        row["latitude"],
        row["longitude"],
        view,
        events,
    )


async def timeline(connection: "Connection", case_id: UUID, until: int) -> list[Entry]:
    """A case's events up to the seq `until`, oldest first."""
    rows = await connection.fetch(
        """
        SELECT case_id, seq, type, occurred_at, recorded_at, details
        FROM timeline WHERE case_id = $1 AND seq <= $2 ORDER BY seq
        """,
        case_id,
        until,
    )
    return [Entry(row[0], row[1], row[2], row[3], row[4], from_json(row[5])) for row in rows]


async def by_number(connection: "Connection", number: str) -> tuple[UUID, bytes] | None:
    """The report id and identity of the case with this number."""
    row = await connection.fetchrow(
        """
        SELECT r.report_id, r.identity FROM case_view c JOIN report r USING (report_id)
        WHERE c.number = $1
        """,
        number,
    )
    return (row[0], row[1]) if row else None


async def identity_of(connection: "Connection", case_id: UUID) -> bytes | None:
    """The identity of the report that became this case."""
    identity: bytes | None = await connection.fetchval(
        "SELECT r.identity FROM case_view c JOIN report r USING (report_id) WHERE c.case_id = $1",
        case_id,
    )
    return identity
