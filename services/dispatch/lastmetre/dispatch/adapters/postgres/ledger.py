"""The ledger of cases: every event with the body that went onto `case.events`."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from lastmetre.common.contracts.case_model import EVENT_TYPES
from lastmetre.common.contracts.cases import (
    CaseEvent,
    CaseRated,
    CaseRegistered,
    ReportMerged,
    ReportOfCase,
)
from lastmetre.dispatch.domain.ledger import LedgerLine, Step

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


EventId = tuple[UUID, int]
"""A case and a seq."""


def event_id(ce_id: bytes | None) -> EventId | None:
    """The case and the seq that a record's `ce_id` names; None if it is not one of ours."""
    case_id, _, seq = (ce_id or b"").decode("latin-1").partition(":")
    try:
        return UUID(case_id), int(seq)
    except ValueError:
        return None


class LedgerEntry(NamedTuple):
    """An event with all that its record on the topic is made of."""

    event: CaseEvent
    body: bytes
    traceparent: str | None


async def append(connection: "Connection", entries: Iterable[LedgerEntry]) -> None:
    """Entries of the ledger, by COPY."""
    await connection.copy_records_to_table(
        "ledger",
        records=[
            (
                event.case_id,
                event.seq,
                event.TYPE,
                event.occurred_at,
                event.recorded_at,
                event.actor.role,
                event.actor.id,
                body,
                traceparent,
            )
            for event, body, traceparent in entries
        ],
        columns=(
            "case_id",
            "seq",
            "type",
            "occurred_at",
            "recorded_at",
            "actor_role",
            "actor_id",
            "body",
            "traceparent",
        ),
    )


async def after(connection: "Connection", case_id: UUID, seq: int) -> list[LedgerLine]:
    """What happened to a case after `seq`, in order."""
    rows = await connection.fetch(
        "SELECT seq, type, occurred_at, recorded_at, actor_role, actor_id FROM ledger"
        " WHERE case_id = $1 AND seq > $2 ORDER BY seq",
        case_id,
        seq,
    )
    return [LedgerLine(*row) for row in rows]


async def steps_of(connection: "Connection", case_id: UUID) -> list[Step]:
    """What happened to a case, in order, with all that was said of it."""
    rows = await connection.fetch(
        "SELECT seq, type, occurred_at, recorded_at, actor_role, actor_id, body FROM ledger"
        " WHERE case_id = $1 ORDER BY seq",
        case_id,
    )
    return [Step(LedgerLine(*row[:-1]), _event(row["type"], row["body"])) for row in rows]


async def last_ratings(connection: "Connection", case_ids: Sequence[UUID]) -> dict[UUID, CaseRated]:
    """What was said last of each of these cases, of those that anything was said of."""
    rows = await connection.fetch(
        "SELECT DISTINCT ON (case_id) case_id, body FROM ledger WHERE case_id = ANY($1::uuid[])"
        " AND type = $2 AND body IS NOT NULL ORDER BY case_id, seq DESC",
        case_ids,
        CaseRated.TYPE,
    )
    return {row["case_id"]: CaseRated.from_json(row["body"]) for row in rows}


async def reports_of(
    connection: "Connection", case_ids: Sequence[UUID]
) -> dict[UUID, ReportOfCase]:
    """What the ledgers of these cases publish of the reports that they have or have had."""
    rows = await connection.fetch(
        "SELECT type, body FROM ledger WHERE case_id = ANY($1::uuid[])"
        " AND type = ANY($2::text[]) AND body IS NOT NULL",
        case_ids,
        [CaseRegistered.TYPE, ReportMerged.TYPE],
    )
    events = [_event(row["type"], row["body"]) for row in rows]
    return {each.report_id: each for each in events if isinstance(each, ReportOfCase)}


async def last_of_types(
    connection: "Connection", case_ids: Sequence[UUID], types: Sequence[str]
) -> dict[UUID, int]:
    """The seq of the last event of one of these types in each of these cases that has any."""
    rows = await connection.fetch(
        "SELECT case_id, max(seq) FROM ledger WHERE case_id = ANY($1::uuid[])"
        " AND type = ANY($2::text[]) GROUP BY case_id",
        case_ids,
        types,
    )
    return {row[0]: row[1] for row in rows}


def _event(type_: str, body: bytes | None) -> CaseEvent | None:
    return None if body is None else EVENT_TYPES[type_].from_json(body)


async def last_lines(connection: "Connection", case_ids: Sequence[UUID]) -> dict[UUID, LedgerLine]:
    """The last entry of each of these cases."""
    rows = await connection.fetch(
        "SELECT DISTINCT ON (case_id) case_id, seq, type, occurred_at, recorded_at, actor_role,"
        " actor_id FROM ledger WHERE case_id = ANY($1::uuid[]) ORDER BY case_id, seq DESC",
        case_ids,
    )
    return {row[0]: LedgerLine(*row[1:]) for row in rows}


async def mark_unfinished(connection: "Connection", case_ids: Sequence[UUID]) -> None:
    """The log of these cases ends in the middle of a decision."""
    await connection.execute(
        "INSERT INTO unfinished_decision SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING",
        case_ids,
    )


async def unfinished(connection: "Connection", limit: int) -> list[UUID]:
    """Cases marked so, theirs kept from other processes until the transaction ends."""
    rows = await connection.fetch(
        "SELECT case_id FROM unfinished_decision ORDER BY case_id LIMIT $1 FOR UPDATE SKIP LOCKED",
        limit,
    )
    return [row[0] for row in rows]


async def mark_finished(connection: "Connection", case_ids: Sequence[UUID]) -> None:
    """The last decision about each of these cases is whole."""
    await connection.execute(
        "DELETE FROM unfinished_decision WHERE case_id = ANY($1::uuid[])", case_ids
    )
