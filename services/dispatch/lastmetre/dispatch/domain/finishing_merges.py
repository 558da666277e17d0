"""Merges and splits of which the log had come to have one half only, decided to their end.

What can still be done is done; else its undoing is, so that each report is in one case.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from lastmetre.common.contracts.base import SYSTEM
from lastmetre.common.contracts.case_model import OPEN, Case
from lastmetre.common.contracts.cases import (
    CaseEvent,
    CaseMerged,
    CaseSplit,
    CaseState,
    ReportMerged,
    ReportOfCase,
    ReportSplit,
)
from lastmetre.dispatch.domain.decision import Decision, Recorder
from lastmetre.dispatch.domain.merging import join, split
from lastmetre.dispatch.domain.network import Network


def finish_merge(
    case: Case,
    others: Mapping[UUID, Case],
    events: Sequence[CaseEvent],
    reports: Mapping[UUID, ReportOfCase],
    *,
    network: Network,
    now: datetime,
) -> list[Decision]:
    """What is missing of the last merge or split of `case`; nothing if that is whole.

    `others`: the cases that it was merged into, or whose report it has joined; `events`: all merges
    and splits in the ledgers of all of them, each ledger's in order; `reports`: what is published
    of the case's reports.
    """
    own = case.report_id
    into = next((each for each in others.values() if own in each.merged), None)
    if case.state is not CaseState.MERGED:
        if into is None:
            return []
        decision = _end_or_leave(case, into, events, now)
        ended = decision.events[-1]
        if not isinstance(ended, CaseMerged):
            return [decision]
        return [decision, *_join_the_rest(into, ended, [*events, ended], reports, now)]
    merged = [each for each in events if _is_of(case, each) and isinstance(each, CaseMerged)][-1]
    if into is not None:
        return _join_the_rest(into, merged, events, reports, now)
    target = others.get(merged.into_case_id)
    if target is None:
        return []
    left = [each for each in events if isinstance(each, ReportSplit) and _about(case, each)]
    again = [each for each in events if _is_of(case, each) and isinstance(each, CaseSplit)]
    if target.state in OPEN and len(left) <= len(again):
        return _join_the_rest(target, merged, events, reports, now)
    last = left[-1] if len(left) > len(again) else None
    ledger = Recorder(case, now)
    split(
        ledger,
        last.actor if last else SYSTEM,
        last.occurred_at if last else ledger.machine_time(merged.occurred_at),
        target.case_id,
        last.reason if last else None,
        network,
    )
    return [ledger.decision()]


def _is_of(case: Case, event: CaseEvent) -> bool:
    return event.case_id == case.case_id


def _about(case: Case, event: ReportSplit) -> bool:
    return event.split_case_id == case.case_id


def _end_or_leave(case: Case, into: Case, events: Sequence[CaseEvent], now: datetime) -> Decision:
    """The case goes on, though its report has joined another: the one or the other ends."""
    joined = [
        each
        for each in events
        if isinstance(each, ReportMerged)
        and _is_of(into, each)
        and each.previous_case_id == case.case_id
        and each.report_id in into.merged
    ]
    left = [each for each in events if isinstance(each, ReportSplit) and _is_of(into, each)]
    again = [each for each in events if isinstance(each, CaseSplit) and _is_of(case, each)]
    back = [each for each in again if each.from_case_id == into.case_id]
    gone = sum(_about(case, each) for each in left)
    if case.state in OPEN and joined and len(back) <= gone:
        ended, by = Recorder(case, now), joined[-1]
        ended.record(
            CaseMerged,
            by.actor,
            by.occurred_at,
            into_case_id=into.case_id,
            report_ids=case.report_ids,
            reason=by.reason,
        )
        return ended.decision()
    leaving = Recorder(into, now)
    for report_id in {each.report_id: None for each in joined}:
        leaving.record(
            ReportSplit,
            back[-1].actor if back else SYSTEM,
            back[-1].occurred_at if back else now,
            report_id=report_id,
            split_case_id=case.case_id,
            reason=back[-1].reason if back else None,
        )
    return leaving.decision()


def _join_the_rest(
    into: Case,
    merged: CaseMerged,
    events: Sequence[CaseEvent],
    reports: Mapping[UUID, ReportOfCase],
    now: datetime,
) -> list[Decision]:
    """The merged case's reports of which the other ledger does not say that they have joined."""
    went = Counter(
        report_id
        for each in events
        if isinstance(each, CaseMerged)
        and (each.case_id, each.into_case_id) == (merged.case_id, into.case_id)
        for report_id in each.report_ids
    )
    came = Counter(
        each.report_id
        for each in events
        if isinstance(each, ReportMerged)
        and (each.previous_case_id, each.case_id) == (merged.case_id, into.case_id)
    )
    ledger = Recorder(into, now)
    for report_id in merged.report_ids:
        if came[report_id] < went[report_id] and report_id in reports:
            at, report = merged.occurred_at, reports[report_id]
            join(ledger, merged.actor, at, merged.case_id, report, merged.reason)
    return [ledger.decision()] if ledger.events else []
