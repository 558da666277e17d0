"""Two cases of one problem become one, and a report of them a case of its own again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from lastmetre.common.contracts.base import Actor
from lastmetre.common.contracts.case_model import OPEN, Case
from lastmetre.common.contracts.cases import (
    CaseEvent,
    CaseMerged,
    CaseSplit,
    CaseState,
    CategoryChanged,
    CorrectionReason,
    LocationChanged,
    ReportMerged,
    ReportOfCase,
    ReportSplit,
)
from lastmetre.common.contracts.requests import Action, ActionRequested, RefusalReason
from lastmetre.dispatch.domain.decision import Decision, Recorder, Refusal
from lastmetre.dispatch.domain.network import Network
from lastmetre.dispatch.domain.placing import place_as_before

CORRECTIONS: Final = frozenset({CategoryChanged.TYPE, LocationChanged.TYPE})
"""Events after which a case may be of another problem than it seemed; no other is."""
_PUBLISHED: Final = tuple(ReportOfCase.model_fields.keys() - CaseEvent.model_fields.keys())


@dataclass(frozen=True, slots=True)
class Beside:
    """What a merge or a split rests on besides the case that it is asked of."""

    other: Case | None = None
    """Merge: the case that the reports are to join; split: the one registered for the report."""
    reports: Mapping[UUID, ReportOfCase] = field(default_factory=dict)
    """Merge: what the ledger publishes of the case's reports."""
    corrected_seq: int = 0
    """Merge: when the other case was corrected last."""


NOTHING_BESIDE: Final = Beside()


def merge_or_split(
    case: Case,
    request: ActionRequested,
    answers: Mapping[str, UUID | str | None],
    beside: Beside,
    *,
    network: Network,
    now: datetime,
) -> Decision | Refusal:
    """What such an action, which is allowed as `case` stands, leads to in both cases."""
    own, other = Recorder(case, now, answers), beside.other
    if request.action is Action.MERGE:
        objection = _objection_to_merging(case, request, beside)
        if objection is not None or other is None:
            return Refusal(objection or "into_case_unknown")
        into = Recorder(other, now)
        _merge(own, into, request, beside.reports)
        return own.decision()._replace(others=(into.decision(),))
    if other is None or other.state is not CaseState.MERGED:
        return Refusal("report_not_kept")
    again = Recorder(other, now)
    at, reason = request.occurred_at, request.correction_reason
    own.record(
        ReportSplit,
        request.actor,
        at,
        report_id=request.report_id,
        split_case_id=other.case_id,
        reason=reason,
    )
    split(again, request.actor, at, case.case_id, reason, network)
    return own.decision()._replace(others=(again.decision(),))


def _objection_to_merging(
    case: Case, request: ActionRequested, beside: Beside
) -> RefusalReason | None:
    """Nobody is swallowed: a case that has ended takes no report in. So there are no circles."""
    into = beside.other
    if into is None:
        return "into_case_unknown"
    if into.state not in OPEN:
        return "into_case_not_open"
    if (request.into_expected_seq or 0) < beside.corrected_seq:
        return "into_case_has_moved_on"
    known = all(each in beside.reports for each in case.report_ids)
    return None if known else "report_not_kept"


def _merge(
    own: Recorder, into: Recorder, request: ActionRequested, reports: Mapping[UUID, ReportOfCase]
) -> None:
    at, actor, reason = request.occurred_at, request.actor, request.correction_reason
    case = own.case
    for report_id in case.report_ids:
        join(into, actor, at, case.case_id, reports[report_id], reason)
    own.record(
        CaseMerged,
        actor,
        at,
        into_case_id=into.case.case_id,
        report_ids=case.report_ids,
        reason=reason,
    )


def join(
    into: Recorder,
    actor: Actor,
    at: datetime,
    previous_case_id: UUID,
    report: ReportOfCase,
    reason: CorrectionReason | None,
) -> None:
    """A report of another case joins."""
    facts: dict[str, Any] = {name: getattr(report, name) for name in _PUBLISHED}
    into.record(ReportMerged, actor, at, previous_case_id=previous_case_id, reason=reason, **facts)


def split(
    again: Recorder,
    actor: Actor,
    at: datetime,
    from_case_id: UUID,
    reason: CorrectionReason | None,
    network: Network,
) -> None:
    """A merged case goes on with its own report."""
    again.record(CaseSplit, actor, at, from_case_id=from_case_id, reason=reason)
    place_as_before(again, again.machine_time(at), network)
