"""What the ledger tells, added to the cases' timelines."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from lastmetre.common.contracts.cases import (
    CaseEvent,
    CaseMerged,
    CaseRegistered,
    ReportMerged,
    ReportSplit,
)
from lastmetre.common.kafka.case_sequence import in_case_order
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.intake.adapters.postgres import cases
from lastmetre.intake.adapters.postgres.cases import Joining, NewCase, Told
from lastmetre.intake.domain.case_view import entry

# Not by isinstance: that runs Python code of pydantic's for each class, in the way of every event.
_OF_REPORTS: Final = frozenset({ReportMerged, ReportSplit, CaseMerged})


async def follow_cases(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> None:
    """Add events in their cases' order; what comes too early is parked. Raises BadRecord."""
    known: dict[UUID, int] = {}

    async def last_seqs(case_ids: list[UUID]) -> dict[UUID, int]:
        known.update(await cases.last_seqs(work.connection, case_ids))
        return known

    ready = await in_case_order(work, records, last_seqs)
    if not ready:
        return
    new: list[NewCase] = []
    moved: list[tuple[UUID, int]] = []
    told: list[Told] = []
    changes: list[CaseEvent] = []
    for case_id, events in ready:
        first, seq = events[0][0], events[-1][0].seq
        if case_id in known:
            moved.append((case_id, seq))
        elif isinstance(first, CaseRegistered):
            new.append(NewCase(case_id, first.report_id, first.number, seq))
        else:
            raise BadRecord("the ledger of a case begins with its registration")
        told.append(Told(case_id, seq, [entry(event) for event, _ in events]))
        changes += [event for event, _ in events if type(event) in _OF_REPORTS]
    if new:
        await cases.add(work.connection, new)
    if moved:
        await cases.move(work.connection, moved)
    await cases.append_timelines(work.connection, told)
    if changes:
        await _follow_reports(work, changes)


async def _follow_reports(work: UnitOfWork, changes: Sequence[CaseEvent]) -> None:
    """Keep which reports have joined a case that was registered for another one."""
    joined: dict[tuple[UUID, UUID], datetime] = {}
    left: list[tuple[UUID, UUID]] = []
    emptied: list[UUID] = []
    for event in changes:
        assert isinstance(event, ReportMerged | ReportSplit | CaseMerged)
        if isinstance(event, CaseMerged):
            emptied.append(event.case_id)
            joined = {pair: at for pair, at in joined.items() if pair[1] != event.case_id}
            continue
        pair = event.report_id, event.case_id
        if isinstance(event, ReportMerged):
            joined[pair] = event.recorded_at
        else:
            joined.pop(pair, None)
            left.append(pair)
    if emptied:
        await cases.remove_all_merged(work.connection, emptied)
    if left:
        await cases.remove_merged(work.connection, left)
    if joined:
        new = [Joining(*pair, recorded_at) for pair, recorded_at in joined.items()]
        await cases.add_merged(work.connection, new)
