"""Cases as they stand."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from lastmetre.common.contracts.base import Channel, Language, Origin, Position
from lastmetre.common.contracts.cases import CaseState
from lastmetre.dispatch.domain.case import Case

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

_CASE_COLUMNS = (
    "case_id", "seq", "state", "is_open", "number", "report_id", "channel", "origin", "category",
    "language", "reported_at", "latitude", "longitude", "changed_at", "area_id", "lead_id",
    "unplaced_reason", "closings", "rated",
)  # fmt: skip
_SELECT_CASE = f'SELECT {", ".join(_CASE_COLUMNS)} FROM "case"'  # noqa: S608


def _case(row: asyncpg.Record) -> Case:
    latitude, longitude = row["latitude"], row["longitude"]
    return Case(
        case_id=row["case_id"],
        seq=row["seq"],
        state=CaseState(row["state"]),
        number=row["number"],
        report_id=row["report_id"],
        channel=Channel(row["channel"]),
        origin=Origin(row["origin"]),
        category=row["category"],
        language=Language(row["language"]),
        reported_at=row["reported_at"],
        position=None if latitude is None else Position(latitude=latitude, longitude=longitude),
        changed_at=row["changed_at"],
        area_id=row["area_id"],
        lead_id=row["lead_id"],
        unplaced_reason=row["unplaced_reason"],
        closings=tuple(row["closings"]),
        rated=tuple(row["rated"]),
    )


def _row(case: Case) -> tuple[object, ...]:
    position = case.position
    return (
        case.case_id, case.seq, case.state, case.is_open, case.number, case.report_id,
        case.channel, case.origin, case.category, case.language, case.reported_at,
        position.latitude if position else None,
        position.longitude if position else None, case.changed_at, case.area_id, case.lead_id,
        case.unplaced_reason, case.closings, case.rated,
    )  # fmt: skip


async def known_reports(connection: "Connection", report_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the reports that have become cases already."""
    rows = await connection.fetch(
        'SELECT report_id FROM "case" WHERE report_id = ANY($1::uuid[])', report_ids
    )
    return {row[0] for row in rows}


async def last_seqs(connection: "Connection", case_ids: Iterable[UUID]) -> dict[UUID, int]:
    """The last seq of each of these cases that is known."""
    rows = await connection.fetch(
        'SELECT case_id, seq FROM "case" WHERE case_id = ANY($1::uuid[])', list(case_ids)
    )
    return {row[0]: row[1] for row in rows}


async def insert_cases(connection: "Connection", cases: Iterable[Case]) -> None:
    """New cases, by COPY."""
    await connection.copy_records_to_table(
        "case", records=[_row(each) for each in cases], columns=_CASE_COLUMNS
    )


async def lock_cases(connection: "Connection", case_ids: Iterable[UUID]) -> dict[UUID, Case]:
    """These cases, locked in id order until the transaction ends."""
    rows = await connection.fetch(
        f"{_SELECT_CASE} WHERE case_id = ANY($1::uuid[]) ORDER BY case_id FOR UPDATE",
        list(case_ids),
    )
    return {row["case_id"]: _case(row) for row in rows}


async def update_cases(connection: "Connection", cases: Sequence[Case]) -> None:
    """What a step can change, for all of these in one statement."""
    await connection.execute(
        """
        UPDATE "case" c SET
            seq = n.seq, state = n.state, is_open = n.is_open, changed_at = n.changed_at,
            area_id = n.area_id, lead_id = n.lead_id, unplaced_reason = n.unplaced_reason,
            closings = n.closings::int[], rated = n.rated::int[]
        FROM unnest($1::uuid[], $2::int[], $3::text[], $4::boolean[], $5::timestamptz[],
                    $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
            AS n(case_id, seq, state, is_open, changed_at, area_id, lead_id, unplaced_reason,
                 closings, rated)
        WHERE c.case_id = n.case_id
        """,
        [case.case_id for case in cases],
        [case.seq for case in cases],
        [case.state for case in cases],
        [case.is_open for case in cases],
        [case.changed_at for case in cases],
        [case.area_id for case in cases],
        [case.lead_id for case in cases],
        [case.unplaced_reason for case in cases],
        [_array(case.closings) for case in cases],
        [_array(case.rated) for case in cases],
    )


def _array(numbers: tuple[int, ...]) -> str:
    """As PostgreSQL writes an array: unnest cannot take a list of lists of different lengths."""
    return f"{{{','.join(map(str, numbers))}}}"


async def case_by_id(connection: "Connection", case_id: UUID) -> Case | None:
    """One case, as it stands."""
    row = await connection.fetchrow(f"{_SELECT_CASE} WHERE case_id = $1", case_id)
    return None if row is None else _case(row)


async def open_cases_of(connection: "Connection", lead_id: str, limit: int) -> list[Case]:
    """A lead's open cases, the longest waiting first."""
    rows = await connection.fetch(
        f"{_SELECT_CASE} WHERE is_open AND lead_id = $1 ORDER BY reported_at, case_id LIMIT $2",
        lead_id,
        limit,
    )
    return [_case(row) for row in rows]


async def unplaced_cases(connection: "Connection", limit: int) -> list[Case]:
    """The command centre's queue, the longest waiting first."""
    rows = await connection.fetch(
        f"{_SELECT_CASE} WHERE is_open AND lead_id IS NULL ORDER BY reported_at, case_id LIMIT $1",
        limit,
    )
    return [_case(row) for row in rows]


async def count_open(connection: "Connection", lead_id: str | None) -> int:
    """How many open cases a lead has; None counts the queue of the unplaced."""
    count: int = await connection.fetchval(
        'SELECT count(*) FROM "case" WHERE is_open AND lead_id IS NOT DISTINCT FROM $1', lead_id
    )
    return count


async def open_counts(connection: "Connection", lead_ids: Sequence[str]) -> dict[str, int]:
    """How many open cases each of these leads has; who has none is left out."""
    rows = await connection.fetch(
        'SELECT lead_id, count(*) FROM "case" WHERE is_open AND lead_id = ANY($1::text[])'
        " GROUP BY lead_id",
        lead_ids,
    )
    return {row["lead_id"]: row["count"] for row in rows}


async def open_counts_of_others(
    connection: "Connection", lead_ids: Sequence[str]
) -> dict[str, int]:
    """How many open cases each lead has who is none of these."""
    rows = await connection.fetch(
        'SELECT lead_id, count(*) FROM "case" WHERE is_open AND lead_id IS NOT NULL'
        " AND lead_id <> ALL($1::text[]) GROUP BY lead_id ORDER BY lead_id",
        lead_ids,
    )
    return {row["lead_id"]: row["count"] for row in rows}


async def case_id_of(connection: "Connection", number: str) -> UUID | None:
    """The case with that number for people."""
    found: UUID | None = await connection.fetchval(
        'SELECT case_id FROM "case" WHERE number = $1', number
    )
    return found
