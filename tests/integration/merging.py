"""Merges and splits asked of dispatch's own database, and how its cases stand after them."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from lastmetre.common.contracts.case_model import EVENT_TYPES
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.dispatch.adapters.postgres.results import CommandResult
from tests.integration.dispatch_ledger import DispatchProcess, action, new_id

SEEN: Final = 2
"""The last event of a case that was registered and dispatched."""


def merge(case_id: UUID, into: UUID, seq: int = SEEN, **more: Any) -> ActionRequested:
    """An operator has seen both cases, the one that is to end as it was at `seq`."""
    facts = {
        "expected_seq": seq, "into_case_id": into, "into_expected_seq": SEEN,
        "correction_reason": "said_in_report",
    }  # fmt: skip
    return action(case_id, Action.MERGE, new_id(), lead=None, **(facts | more))


def split(case_id: UUID, report_id: UUID, seq: int, **more: Any) -> ActionRequested:
    """An operator has seen the case as it was at `seq`."""
    facts = {
        "expected_seq": seq, "report_id": report_id, "correction_reason": "seen_on_site",
    }  # fmt: skip
    return action(case_id, Action.SPLIT, new_id(), lead=None, **(facts | more))


def refusals(results: Sequence[CommandResult]) -> list[str | None]:
    return [each.refusal for each in results]


async def ledger(process: DispatchProcess, case_id: UUID) -> list[CaseEvent]:
    rows = await process.pool.fetch(
        "SELECT type, body FROM ledger WHERE case_id = $1 ORDER BY seq", case_id
    )
    return [EVENT_TYPES[row["type"]].from_json(row["body"]) for row in rows]


async def names(process: DispatchProcess, case_id: UUID) -> list[str]:
    return [each.TYPE.split(".")[2] for each in await ledger(process, case_id)]


async def stands(process: DispatchProcess, case_id: UUID) -> tuple[Any, ...]:
    """Its seq, state, whether it is open, and how many reports have joined it."""
    row = await process.pool.fetchrow(
        'SELECT seq, state, is_open, cardinality(merged) FROM "case" WHERE case_id = $1', case_id
    )
    assert row is not None
    return tuple(row)


async def reports_of(process: DispatchProcess) -> dict[UUID, set[UUID]]:
    """The reports of each case that has not been merged. Each is in one case."""
    rows = await process.pool.fetch(
        "SELECT case_id, report_id || merged FROM \"case\" WHERE state <> 'merged'"
    )
    found: dict[UUID, set[UUID]] = {row[0]: set(row[1]) for row in rows}
    every = [each for row in rows for each in row[1]]
    registered = await process.rows('SELECT count(*) FROM "case"')
    assert len(every) == len(set(every)) == registered[0][0], "each report is in one case"
    return found
