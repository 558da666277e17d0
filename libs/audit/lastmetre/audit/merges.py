"""Merges and splits: what is said of them in the ledgers of two cases is the same.

A decision about two cases is one transaction of dispatch's, so its snapshot has both halves.
"""

from collections import Counter, defaultdict
from typing import Final
from uuid import UUID

from lastmetre.audit.balance import Balance
from lastmetre.audit.consistent_cut import ConsistentCut
from lastmetre.common.contracts.case_model import EVENT_TYPES
from lastmetre.common.contracts.cases import (
    CaseEvent,
    CaseMerged,
    CaseRegistered,
    CaseSplit,
    ReportMerged,
    ReportSplit,
)

_KINDS: Final = (CaseMerged, ReportMerged, ReportSplit, CaseSplit)
Pair = tuple[UUID, UUID]
"""Two ids: of cases, or of a report and a case."""


class _Said:
    """What the ledgers say of merges and splits, each with how often."""

    def __init__(self, events: list[CaseEvent], own: set[Pair]) -> None:
        self.own = set(own)
        self.moved: Counter[tuple[UUID, UUID, UUID]] = Counter()
        self.joined: Counter[tuple[UUID, UUID, UUID]] = Counter()
        self.left: Counter[Pair] = Counter()
        self.again: Counter[Pair] = Counter()
        self.reports: dict[Pair, list[UUID]] = defaultdict(list)
        for event in events:
            self._put(event)

    def _put(self, event: CaseEvent) -> None:
        match event:
            case CaseMerged():
                for report_id in event.report_ids:
                    self.moved[report_id, event.case_id, event.into_case_id] += 1
            case ReportMerged():
                self.own.add((event.report_id, event.case_id))
                if event.previous_case_id is None:
                    return
                self.joined[event.report_id, event.previous_case_id, event.case_id] += 1
            case ReportSplit():
                pair = event.case_id, event.split_case_id
                self.left[pair] += 1
                self.reports[pair].append(event.report_id)
            case CaseSplit():
                self.again[event.from_case_id, event.case_id] += 1


async def check_merges(cut: ConsistentCut, balance: Balance) -> None:
    """Both lines, of the merges and splits since the checkpoint."""
    recent = await _events(
        cut,
        f"SELECT type, body FROM ledger WHERE type = ANY($1) AND {cut.dispatch.recent}",  # noqa: S608
        [kind.TYPE for kind in _KINDS],
    )
    if not recent:
        return
    # Of the cases that these name all is read: what was said before counts too.
    named = sorted({case_id for event in recent for case_id in _cases_of(event)})
    events = await _events(
        cut,
        "SELECT type, body FROM ledger WHERE type = ANY($1) AND case_id = ANY($2::uuid[])"
        " ORDER BY case_id, seq",
        [kind.TYPE for kind in _KINDS],
        named,
    )
    own = await cut.dispatch.rows(
        "SELECT body FROM ledger WHERE seq = 1 AND body IS NOT NULL AND case_id = ANY($1::uuid[])",
        named,
    )
    registered = [CaseRegistered.from_json(row[0]) for row in own]
    first = {(each.report_id, each.case_id) for each in registered}
    said, asked = _Said(events, first), _Said(recent, first)
    _compare_merges(balance, asked, said)
    _compare_splits(balance, asked, said)


async def _events(cut: ConsistentCut, sql: str, *arguments: object) -> list[CaseEvent]:
    rows = await cut.dispatch.rows(sql, *arguments)
    return [EVENT_TYPES[type_].from_json(body) for type_, body in rows if body is not None]


def _cases_of(event: CaseEvent) -> set[UUID]:
    match event:
        case CaseMerged():
            other: UUID | None = event.into_case_id
        case ReportMerged():
            other = event.previous_case_id
        case ReportSplit():
            other = event.split_case_id
        case CaseSplit():
            other = event.from_case_id
        case _:
            other = None
    return {event.case_id} if other is None else {event.case_id, other}


def _compare_merges(balance: Balance, asked: _Said, said: _Said) -> None:
    """Of the merges in `asked`, by all that is said of their cases."""
    line = balance.line("merges")
    for report_id, case_id, into in asked.moved:
        times = said.moved[report_id, case_id, into]
        line.expected["reports of merged cases"] += times
        line.actual["have joined"] += min(times, said.joined[report_id, case_id, into])
        if said.joined[report_id, case_id, into] < times:
            line.differ(report_id, f"went from {case_id} to {into}, which it has not joined")
    for report_id, case_id, into in asked.joined:
        times = said.joined[report_id, case_id, into]
        undone = said.left[into, case_id] - said.again[into, case_id]
        if times > said.moved[report_id, case_id, into] + max(undone, 0):
            line.differ(report_id, f"has joined {into}, but {case_id} was not merged")


def _compare_splits(balance: Balance, asked: _Said, said: _Said) -> None:
    """Of the splits in `asked`, by all that is said of their cases."""
    line = balance.line("splits")
    for from_case, case_id in asked.left:
        times = said.left[from_case, case_id]
        line.expected["reports split off"] += times
        again = min(times, said.again[from_case, case_id])
        line.actual["whose case goes on"] += again
        for report_id in said.reports[from_case, case_id][again:]:
            if (report_id, case_id) in said.own:
                line.actual["registered, or never ended"] += 1
            else:
                line.differ(report_id, f"has left {from_case}, and is no case of its own")
    for from_case, case_id in asked.again:
        if said.again[from_case, case_id] > said.left[from_case, case_id]:
            line.differ(case_id, f"goes on, but its report has not left {from_case}")
