"""Reading the ledger in order: repetitions dropped, gaps waited for, dead letters stepped over."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, cast
from uuid import UUID

from common.contracts import cases
from common.contracts.base import Message, message_types
from common.contracts.cases import CaseEvent
from common.runtime.records import BadRecord, Record, decode
from common.runtime.work import UnitOfWork

CASE_EVENT_TYPES: Final[Mapping[str, type[Message]]] = message_types(cases)

LastSeqs = Callable[[list[UUID]], Awaitable[dict[UUID, int]]]
Sequenced = list[tuple[CaseEvent, Record]]


async def in_sequence(
    work: UnitOfWork, records: Sequence[Record], last_seqs: LastSeqs
) -> Sequenced:
    """The case events among `records` whose turn it is, parked ones that follow included.

    `last_seqs` locks the reader's rows of these cases in key order and returns each case's last
    applied seq. What comes too early is parked, what was applied before is dropped, what cannot
    be read is buried.
    """
    events: Sequenced = []
    for record in records:
        try:
            events.append((cast("CaseEvent", decode(record, CASE_EVENT_TYPES)), record))
        except BadRecord as error:
            work.bury(record, str(error))
    # Only the order within a case counts, and a zombie's repetition may come out of it.
    events.sort(key=lambda each: each[0].seq)
    cases_here = sorted({event.case_id for event, _ in events})
    if not cases_here:
        return []
    last = await last_seqs(cases_here)
    waiting = await work.parked(cases_here)
    ready: Sequenced = []
    for event, record in events:
        expected = last.get(event.case_id, 0) + 1
        if event.seq > expected:
            work.park(event.case_id, event.seq, record)
        elif event.seq == expected:
            ready.append((event, record))
            last[event.case_id] = event.seq
            if event.case_id in waiting:
                _follow(work, event.case_id, waiting, last, ready)
    return ready


def _follow(
    work: UnitOfWork,
    case_id: UUID,
    waiting: dict[UUID, list[Record]],
    last: dict[UUID, int],
    ready: Sequenced,
) -> None:
    """Let the parked events of a case follow as far as there is no gap."""
    rest = waiting[case_id]
    while rest:
        record = rest[0]
        event = cast("CaseEvent", decode(record, CASE_EVENT_TYPES))
        if event.seq > last[case_id] + 1:
            return
        if event.seq == last[case_id] + 1:
            ready.append((event, record))
            last[case_id] = event.seq
        work.unpark([rest.pop(0)])
