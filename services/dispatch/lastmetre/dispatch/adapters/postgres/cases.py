"""Cases as they stand."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import asyncpg

from lastmetre.common.contracts.base import Channel, Language, Origin, Position
from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.cases import CaseState

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

_COLUMNS: Final[Mapping[str, str]] = {
    "case_id": "uuid", "seq": "int", "state": "text", "is_open": "boolean", "number": "text",
    "report_id": "uuid", "channel": "text", "origin": "text", "category": "text",
    "language": "text", "reported_at": "timestamptz", "latitude": "float8", "longitude": "float8",
    "changed_at": "timestamptz", "area_id": "text", "lead_id": "text", "unplaced_reason": "text",
    "closings": "int[]", "rated": "int[]", "merged": "uuid[]", "accuracy_metres": "float8",
    "reported_accuracy_metres": "float8",
}  # fmt: skip
"""The columns of "case" with their types, in the order of `_row`."""
_CHANGING: Final = (
    "seq", "state", "is_open", "category", "latitude", "longitude", "changed_at", "area_id",
    "lead_id", "unplaced_reason", "closings", "rated", "merged", "accuracy_metres",
)  # fmt: skip
"""Those that an event can change."""
_ARRAYS: Final = frozenset({"closings", "rated", "merged"})
SELECT_CASE: Final = f'SELECT {", ".join(_COLUMNS)} FROM "case"'  # noqa: S608


def case_of(row: asyncpg.Record) -> Case:
    (
        case_id, seq, state, _, number, report_id, channel, origin, category, language,
        reported_at, latitude, longitude, changed_at, area_id, lead_id, unplaced_reason, closings,
        rated, merged, accuracy_metres, reported_accuracy_metres,
    ) = row  # fmt: skip
    return Case(
        case_id=case_id,
        seq=seq,
        state=CaseState(state),
        number=number,
        report_id=report_id,
        channel=Channel(channel),
        origin=Origin(origin),
        category=category,
        language=Language(language),
        reported_at=reported_at,
        position=None if latitude is None else Position(latitude=latitude, longitude=longitude),
        changed_at=changed_at,
        area_id=area_id,
        lead_id=lead_id,
        unplaced_reason=unplaced_reason,
        closings=tuple(closings),
        rated=tuple(rated),
        merged=tuple(merged),
        accuracy_metres=accuracy_metres,
        reported_accuracy_metres=reported_accuracy_metres,
    )


def _row(case: Case) -> tuple[object, ...]:
    position = case.position
    return (
        case.case_id, case.seq, case.state, case.is_open, case.number, case.report_id,
        case.channel, case.origin, case.category, case.language, case.reported_at,
        position.latitude if position else None,
        position.longitude if position else None, case.changed_at, case.area_id, case.lead_id,
        case.unplaced_reason, case.closings, case.rated, case.merged, case.accuracy_metres,
        case.reported_accuracy_metres,
    )  # fmt: skip


async def known_reports(connection: "Connection", report_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the reports that belong to a case already: it was registered for them, or they have
    joined it."""
    rows = await connection.fetch(
        'SELECT report_id FROM "case" WHERE report_id = ANY($1::uuid[])'
        " UNION ALL SELECT unnest(merged) FROM \"case\" WHERE merged <> '{}' AND merged && $1",
        report_ids,
    )
    return {row[0] for row in rows}.intersection(report_ids)


async def last_seqs(connection: "Connection", case_ids: Iterable[UUID]) -> dict[UUID, int]:
    """The last seq of each of these cases that is known."""
    rows = await connection.fetch(
        'SELECT case_id, seq FROM "case" WHERE case_id = ANY($1::uuid[])', list(case_ids)
    )
    return {row[0]: row[1] for row in rows}


async def insert_cases(connection: "Connection", cases: Iterable[Case]) -> None:
    """New cases, by COPY."""
    await connection.copy_records_to_table(
        "case", records=map(_row, cases), columns=tuple(_COLUMNS)
    )


async def lock_cases(connection: "Connection", case_ids: Iterable[UUID]) -> dict[UUID, Case]:
    """These cases, locked in id order until the transaction ends."""
    rows = await connection.fetch(
        f"{SELECT_CASE} WHERE case_id = ANY($1::uuid[]) ORDER BY case_id FOR UPDATE",
        list(case_ids),
    )
    return {row["case_id"]: case_of(row) for row in rows}


async def lock_cases_of(
    connection: "Connection", case_ids: Iterable[UUID], report_ids: Sequence[UUID]
) -> dict[UUID, Case]:
    """The same, with the cases that were registered for these reports: all in one order."""
    rows = await connection.fetch(
        f"{SELECT_CASE} WHERE case_id = ANY($1::uuid[]) OR report_id = ANY($2::uuid[])"
        " ORDER BY case_id FOR UPDATE",
        list(case_ids),
        report_ids,
    )
    return {row["case_id"]: case_of(row) for row in rows}


async def update_cases(connection: "Connection", cases: Sequence[Case]) -> None:
    """What an event can change, for all of these in one statement."""
    if not cases:
        return
    values = dict(zip(_COLUMNS, zip(*map(_row, cases), strict=True), strict=False))
    await connection.execute(
        _UPDATE,
        values["case_id"],
        *(
            list(map(_array, values[name])) if name in _ARRAYS else values[name]
            for name in _CHANGING
        ),
    )


def _array(elements: Any) -> str:
    """As PostgreSQL writes an array: unnest cannot take a list of lists of different lengths."""
    return f"{{{','.join(map(str, elements))}}}"


def _update() -> str:
    sent = ["uuid", *("text" if name in _ARRAYS else _COLUMNS[name] for name in _CHANGING)]
    arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(sent, 1))
    changes = ", ".join(f"{name} = n.{name}::{_COLUMNS[name]}" for name in _CHANGING)
    return (
        f'UPDATE "case" c SET {changes}'  # noqa: S608
        f" FROM unnest({arrays}) AS n(case_id, {', '.join(_CHANGING)})"
        " WHERE c.case_id = n.case_id"
    )


_UPDATE: Final = _update()


async def case_by_id(connection: "Connection", case_id: UUID) -> Case | None:
    """One case, as it stands."""
    row = await connection.fetchrow(f"{SELECT_CASE} WHERE case_id = $1", case_id)
    return None if row is None else case_of(row)


async def case_registered_for(connection: "Connection", report_id: UUID) -> Case | None:
    """The case that a report became, whether it belongs to another one now or not."""
    row = await connection.fetchrow(f"{SELECT_CASE} WHERE report_id = $1", report_id)
    return None if row is None else case_of(row)


async def case_joined_by(connection: "Connection", report_id: UUID) -> Case | None:
    """The case that a report has joined, if there is one."""
    row = await connection.fetchrow(
        f"{SELECT_CASE} WHERE merged <> '{{}}' AND merged && $1::uuid[]", [report_id]
    )
    return None if row is None else case_of(row)


async def open_cases_of(connection: "Connection", lead_id: str, limit: int) -> list[Case]:
    """A lead's open cases, the longest waiting first."""
    rows = await connection.fetch(
        f"{SELECT_CASE} WHERE is_open AND lead_id = $1 ORDER BY reported_at, case_id LIMIT $2",
        lead_id,
        limit,
    )
    return [case_of(row) for row in rows]


async def unplaced_cases(connection: "Connection", limit: int) -> list[Case]:
    """The command centre's queue, the longest waiting first."""
    rows = await connection.fetch(
        f"{SELECT_CASE} WHERE is_open AND lead_id IS NULL ORDER BY reported_at, case_id LIMIT $1",
        limit,
    )
    return [case_of(row) for row in rows]


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
