"""What a case's ledger comes to: the model that all readers share, and when each step happened.

The steps are worked out here anew, beside metrics, whose facts are checked by them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.case_model import SHORT_NAMES, Case, LedgerBroken, apply, begin
from lastmetre.common.contracts.cases import CaseEvent, CaseRegistered


@dataclass(slots=True)
class CaseProjection:
    """A case after some of its events. Times are aware; the first, unless a step can be undone."""

    case: Case
    registered: CaseRegistered
    types: list[str]
    """The short name of each event."""
    merged: list[cases.ReportMerged] = field(default_factory=list)
    """Of the reports that have joined and are there still, in their order."""
    dispatched_at: datetime | None = None
    accepted_at: datetime | None = None
    arrived_at: datetime | None = None
    resolved_at: datetime | None = None
    verified_at: datetime | None = None
    closed_at: datetime | None = None
    closing: int | None = None
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    returns: int = 0
    reopenings: int = 0
    rated_at: datetime | None = None
    rated_closing: int | None = None
    solved: bool | None = None
    score: int | None = None

    @property
    def closed_before_reported(self) -> bool:
        """The source's times contradict each other."""
        return self.closed_at is not None and self.closed_at < self.registered.reported_at

    @property
    def fixed_on_spot(self) -> bool:
        """Found on patrol and dealt with at that moment."""
        first = self.registered
        return first.channel is Channel.PATROL and self.resolved_at == first.reported_at


def fold(events: Sequence[CaseEvent]) -> CaseProjection:
    """The case after `events`, which are 1 to the last in order; raises LedgerBroken."""
    case, first = begin(events[0]), events[0]
    assert isinstance(first, CaseRegistered)
    projection = CaseProjection(case, first, [SHORT_NAMES[first.TYPE]])
    for event in events[1:]:
        projection.case = apply(projection.case, event)
        projection.types.append(SHORT_NAMES[event.TYPE])
        _note(projection, event)
    return projection


def folded(events: Sequence[CaseEvent]) -> CaseProjection | None:
    """The same; None where they are no ledger."""
    try:
        return fold(events)
    except LedgerBroken:
        return None


def _note(projection: CaseProjection, event: CaseEvent) -> None:
    """When the step was, and what else is counted of it."""
    at = event.occurred_at
    match event:
        case cases.CaseDispatched() | cases.CaseReassigned():
            projection.dispatched_at = projection.dispatched_at or at
        case cases.CaseAccepted():
            projection.accepted_at = projection.accepted_at or at
        case cases.CaseArrived():
            projection.arrived_at = projection.arrived_at or at
        case cases.CaseResolved():
            projection.resolved_at = at
        case cases.CaseVerified():
            projection.verified_at = at
        case cases.CaseClosed():
            projection.closed_at, projection.closing = at, event.seq
        case cases.CaseCancelled():
            projection.cancelled_at, projection.cancel_reason = at, event.reason
        case _:
            _note_aside(projection, event)


def _note_aside(projection: CaseProjection, event: CaseEvent) -> None:
    """What leads back or aside."""
    match event:
        case cases.CaseReturned():
            projection.returns += 1
        case cases.CaseReopened():
            projection.resolved_at = projection.verified_at = None
            projection.closed_at = projection.closing = None
            projection.reopenings += 1
        case cases.CaseRated():
            projection.rated_at, projection.rated_closing = event.occurred_at, event.closing
            projection.solved, projection.score = event.solved, event.score
        case cases.ReportMerged():
            projection.merged.append(event)
        case cases.CaseMerged():
            projection.merged = []
        case cases.ReportSplit():
            projection.merged = [
                each for each in projection.merged if each.report_id != event.report_id
            ]
