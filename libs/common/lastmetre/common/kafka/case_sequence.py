"""Reading the ledger in order: repetitions dropped, gaps waited for, dead letters stepped over."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple, cast
from uuid import UUID

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import Message, message_types
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, decode
from lastmetre.common.outbox.unit_of_work import UnitOfWork

CASE_EVENT_TYPES: Final[Mapping[str, type[Message]]] = message_types(cases)

Event = tuple[CaseEvent, ConsumedRecord]
LastSeqs = Callable[[list[UUID]], Awaitable[Mapping[UUID, int]]]
Told = tuple[int, CaseEvent, ConsumedRecord]
"""An event with its seq, and the record that told it."""


class Turn(NamedTuple):
    """The events of one case whose turn it is, in their order."""

    case_id: UUID
    events: list[Event]


async def in_case_order(
    work: UnitOfWork, records: Sequence[ConsumedRecord], last_seqs: LastSeqs
) -> list[Turn]:
    """The case events among `records` whose turn it is, parked ones that follow included.

    `last_seqs` returns the last applied seq of each of these cases that the reader knows. What
    comes too early is parked, what was applied before is dropped, what cannot be read is a dead
    letter.
    """
    told: dict[UUID, list[Told]] = {}
    for record in records:
        try:
            event = cast("CaseEvent", decode(record, CASE_EVENT_TYPES))
        except BadRecord as error:
            work.dead_letter(record, str(error))
            continue
        told.setdefault(event.case_id, []).append((event.seq, event, record))
    if not told:
        return []
    case_ids = list(told)
    last = await last_seqs(case_ids)
    waiting = await work.parked(case_ids)
    ready: list[Turn] = []
    for case_id, events in told.items():
        # Only the order within a case counts, and a zombie's repetition may come out of it.
        events.sort(key=itemgetter(0))
        whole = _without_gap(work, events, last.get(case_id, 0) + 1, waiting.get(case_id, []))
        if whole:
            ready.append(Turn(case_id, whole))
    return ready


def _without_gap(
    work: UnitOfWork, events: list[Told], expected: int, waiting: list[ConsumedRecord]
) -> list[Event]:
    """What follows without a gap, from the seq `expected` on; the rest is parked or dropped."""
    turn: list[Event] = []
    for seq, event, record in events:
        if seq > expected:
            work.park(event.case_id, seq, record)
        elif seq == expected:
            turn.append((event, record))
            expected += 1
            if waiting:
                expected = _follow(work, waiting, expected, turn)
    return turn


def _follow(
    work: UnitOfWork, waiting: list[ConsumedRecord], expected: int, turn: list[Event]
) -> int:
    """Let the parked events of a case follow as far as there is no gap; returns the next seq."""
    while waiting:
        record = waiting[0]
        event = cast("CaseEvent", decode(record, CASE_EVENT_TYPES))
        if event.seq > expected:
            break
        if event.seq == expected:
            turn.append((event, record))
            expected += 1
        work.unpark([waiting.pop(0)])
    return expected
