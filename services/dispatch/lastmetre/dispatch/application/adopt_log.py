"""What our own topics hold and the database has never heard of, taken in.

The database was restored from a backup, or a standby was promoted that lacked the last second.
The same case ids, numbers, states and results as before come out; nothing is sent.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final
from uuid import UUID

import structlog

from lastmetre.common.contracts.base import Message
from lastmetre.common.contracts.case_model import EVENT_TYPES, Case, fold
from lastmetre.common.contracts.cases import (
    ActionEffect,
    CaseEvent,
    CaseMerged,
    CaseRated,
    CaseRegistered,
    CaseReopened,
    CaseSplit,
    ReportMerged,
    ReportSplit,
)
from lastmetre.common.contracts.requests import ActionAnswered
from lastmetre.common.kafka.area_changes import AreaRemoved, decode_area_change, newest_of_each
from lastmetre.common.kafka.codec import ConsumedRecord, decode
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.dispatch.adapters.postgres import cases as store
from lastmetre.dispatch.adapters.postgres import ledger, numbers, unfinished_merges
from lastmetre.dispatch.adapters.postgres import network as network_store
from lastmetre.dispatch.adapters.postgres.ledger import LedgerEntry, event_id
from lastmetre.dispatch.adapters.postgres.results import CommandResult, insert_unknown_results
from lastmetre.dispatch.domain.commands import FEEDBACK_KIND
from lastmetre.dispatch.domain.decide import ANSWERS, UNFINISHED
from lastmetre.dispatch.domain.network import Area
from lastmetre.dispatch.domain.numbers import parse_number

log = structlog.get_logger()

OUTCOME_TYPES: Final[dict[str, type[Message]]] = {ActionAnswered.TYPE: ActionAnswered}


class LogHasGap(Exception):
    """A case's events on our own topic do not follow each other: nothing may be built on them."""


async def adopt_events(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> int:
    """Take in events; returns how many were new. Raises LogHasGap, and what `decode` raises."""
    by_case: dict[UUID, list[LedgerEntry]] = defaultdict(list)
    for record in await _not_known(work, records):
        event = decode(record, EVENT_TYPES)
        assert isinstance(event, CaseEvent)
        entry = LedgerEntry(event, record.value or b"", record.traceparent)
        by_case[event.case_id].append(entry)
    known = await store.lock_cases(work.connection, by_case)
    cases: dict[UUID, Case] = {}
    new: list[LedgerEntry] = []
    for case_id, entries in by_case.items():
        case, unknown = _folded(known.get(case_id), entries)
        if case is not None and unknown:
            cases[case_id] = case
            new += unknown
    if new:
        await _write(work, known, cases, new)
    return len(new)


async def _not_known(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> list[ConsumedRecord]:
    """Those that the ledger does not hold, by their `ce_id` alone: most are known as a rule, and
    after an upgrade a whole topic is read."""
    named = [(event_id(record.header("ce_id")), record) for record in records]
    last = await store.last_seqs(work.connection, {each[0] for each, _ in named if each})
    return [record for each, record in named if each is None or each[1] > last.get(each[0], 0)]


def _folded(case: Case | None, entries: list[LedgerEntry]) -> tuple[Case | None, list[LedgerEntry]]:
    """The case after these entries, and those of them that it had not seen."""
    unknown: list[LedgerEntry] = []
    for entry in sorted(entries, key=lambda each: each.event.seq):
        event, last = entry.event, case.seq if case else 0
        if event.seq <= last:
            continue
        if event.seq > last + 1:
            log.error(
                "the log has a gap", case_id=str(event.case_id), after_seq=last, seq=event.seq
            )
            raise LogHasGap(f"case {event.case_id}: seq {event.seq} follows {last}")
        case = fold(case, event)
        unknown.append(entry)
    return case, unknown


async def _write(
    work: UnitOfWork, known: dict[UUID, Case], cases: dict[UUID, Case], new: list[LedgerEntry]
) -> None:
    connection = work.connection
    await store.insert_cases(connection, [c for c in cases.values() if c.case_id not in known])
    await store.update_cases(connection, [c for c in cases.values() if c.case_id in known])
    await ledger.append(connection, new)
    events = [entry.event for entry in new]
    await numbers.raise_counters(connection, _counts(events))
    await insert_unknown_results(connection, list(_results(events)))
    last = {event.case_id: event.TYPE for event in events}
    await ledger.mark_finished(connection, list(last))
    await ledger.mark_unfinished(connection, [c for c, kind in last.items() if kind in UNFINISHED])
    await unfinished_merges.mark(connection, {c for e in events if (c := _merged_or_split(e))})


def _merged_or_split(event: CaseEvent) -> UUID | None:
    """The case whose own report goes to another case, or comes back, with this event: the other
    half of that decision is in another partition."""
    match event:
        case CaseMerged() | CaseSplit():
            return event.case_id
        case ReportMerged():
            return event.previous_case_id
        case ReportSplit():
            return event.split_case_id
        case _:
            return None


def _results(events: Sequence[CaseEvent]) -> Iterator[CommandResult]:
    """What was answered to the actions and ratings that these events are the effect of.

    An action's answer has a topic of its own; its last records may be missing there.
    """
    for event in events:
        if isinstance(event, CaseRated):
            yield CommandResult(
                event.feedback_id, event.case_id, FEEDBACK_KIND, None, event.seq, event.recorded_at
            )
        elif isinstance(event, CaseReopened) and event.feedback_id is not None:
            yield CommandResult(
                event.feedback_id,
                event.case_id,
                FEEDBACK_KIND,
                None,
                event.seq + ANSWERS[event.TYPE].followed_by,
                event.recorded_at,
            )
        elif isinstance(event, ActionEffect) and event.action_id is not None:
            action, followed_by = ANSWERS[event.TYPE]
            yield CommandResult(
                event.action_id,
                event.case_id,
                action.value,
                None,
                event.seq + followed_by,
                event.recorded_at,
            )


def _counts(events: Sequence[CaseEvent]) -> dict[date, int]:
    """The highest count of each day among the cases that these events register."""
    counts: dict[date, int] = {}
    for event in events:
        if isinstance(event, CaseRegistered) and (parsed := parse_number(event.number)):
            day, count = parsed
            counts[day] = max(count, counts.get(day, 0))
    return counts


async def adopt_outcomes(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> int:
    """Take in the results of actions; returns how many were new. Raises what `decode` raises."""
    first: dict[UUID, CommandResult] = {}
    for record in records:
        answered = decode(record, OUTCOME_TYPES)
        assert isinstance(answered, ActionAnswered)
        if answered.refusal == "action_id_used":
            continue  # said to somebody else, who used the id again: the id's result is another
        result = CommandResult(
            answered.action_id,
            answered.case_id,
            answered.action.value,
            answered.refusal,
            answered.seq,
            answered.answered_at,
        )
        first.setdefault(answered.action_id, result)
    return await insert_unknown_results(work.connection, list(first.values()))


async def adopt_areas(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> int:
    """Take in areas that were announced by an import which the database has never heard of.

    Returns how many records were new. What of the import had not come to be on the topic is not
    known: it has to be imported again.
    """
    version = await network_store.lock_network(work.connection)
    known = {area.area_id: area for area in await network_store.areas(work.connection)}
    changes = newest_of_each(decode_area_change(record) for record in records)
    area_ids = [each.area_id for each in changes]
    heard_of = await network_store.announced_versions(work.connection, area_ids)
    areas, new = dict(known), {}
    for change in changes:
        area_id, announced_in = change.area_id, change.network_version
        if announced_in is not None:
            if announced_in <= heard_of.get(area_id, 0):
                continue
            new[area_id] = announced_in
        if isinstance(change, AreaRemoved):
            areas.pop(area_id, None)
        else:
            areas[area_id] = Area(area_id, change.name, change.town, change.outline, change.lead)
    changed = [key for key in areas.keys() | known.keys() if areas.get(key) != known.get(key)]
    if changed or new:
        newest = max(version, *new.values()) if new else version
        await network_store.replace_network(work.connection, newest, list(areas.values()))
        await network_store.note_announced(work.connection, new)
        log.error("the network is behind its topic: import it again", areas=len(changed))
    return len(changed)
