"""What a case's ledger comes to: the audit's own fold, beside those of the services."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.cases import CaseEvent, CaseRegistered

ENDED: Final = frozenset({"closed", "cancelled"})


class NotALedger(ValueError):
    """It does not begin with a registration."""


@dataclass(slots=True)
class CaseProjection:
    """A case after some of its events. Times are aware; the first, unless a step can be undone."""

    registered: CaseRegistered
    changed_at: datetime
    types: list[str]
    """The short name of each event."""
    last: type[CaseEvent] = CaseRegistered
    seq: int = 1
    state: str = "registered"
    area_id: str | None = None
    lead_id: str | None = None
    unplaced_reason: str | None = None
    dispatched_at: datetime | None = None
    accepted_at: datetime | None = None
    arrived_at: datetime | None = None
    resolved_at: datetime | None = None
    verified_at: datetime | None = None
    closed_at: datetime | None = None
    closings: list[int] = field(default_factory=list)
    closing: int | None = None
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    returns: int = 0
    reopenings: int = 0
    rated: list[int] = field(default_factory=list)
    rated_at: datetime | None = None
    solved: bool | None = None
    score: int | None = None

    @property
    def ended(self) -> bool:
        """Closed or cancelled, and not taken up again."""
        return self.state in ENDED

    @property
    def closed_before_reported(self) -> bool:
        """The source's times contradict each other."""
        return self.closed_at is not None and self.closed_at < self.registered.reported_at

    @property
    def fixed_on_spot(self) -> bool:
        """Found on patrol and dealt with at that moment."""
        first = self.registered
        return first.channel is Channel.PATROL and self.resolved_at == first.reported_at


def short_name(event: CaseEvent) -> str:
    """`accepted` for `lastmetre.case.accepted.v1`."""
    return event.TYPE.split(".")[2]


def fold(events: Sequence[CaseEvent]) -> CaseProjection:
    """The case after `events`, which are 1 to the last in order; raises NotALedger."""
    first = events[0]
    if not isinstance(first, CaseRegistered):
        raise NotALedger
    case = CaseProjection(first, first.occurred_at, [short_name(first)])
    for event in events[1:]:
        _step(case, event)
    return case


def _step(case: CaseProjection, event: CaseEvent) -> None:
    at = event.occurred_at
    case.seq, case.last = event.seq, type(event)
    case.types.append(short_name(event))
    if isinstance(event, cases.CaseRated):
        case.rated.append(event.closing)
        case.rated_at, case.solved, case.score = at, event.solved, event.score
        return
    case.changed_at = at
    match event:
        case cases.CaseDispatched() | cases.CaseReassigned():
            case.state, case.unplaced_reason = "dispatched", None
            case.area_id, case.lead_id = event.area_id, event.lead.lead_id
            case.dispatched_at = case.dispatched_at or at
        case cases.CaseUnplaced():
            _take_away(case, event.reason)
        case cases.CaseReturned():
            _take_away(case, "returned")
            case.returns += 1
        case _:
            _handle(case, event)


def _handle(case: CaseProjection, event: CaseEvent) -> None:
    at = event.occurred_at
    match event:
        case cases.CaseAccepted():
            case.state, case.accepted_at = "accepted", case.accepted_at or at
        case cases.CaseArrived():
            case.state, case.arrived_at = "on_site", case.arrived_at or at
        case cases.CaseResolved():
            case.state, case.resolved_at = "resolved", at
        case cases.CaseVerified():
            case.state, case.verified_at = "verified", at
        case cases.CaseClosed():
            case.state, case.closed_at, case.closing = "closed", at, event.seq
            case.closings.append(event.seq)
        case cases.CaseCancelled():
            case.state, case.cancelled_at, case.cancel_reason = "cancelled", at, event.reason
        case cases.CaseReopened():
            case.state = "registered"
            case.resolved_at = case.verified_at = case.closed_at = case.closing = None
            case.reopenings += 1


def _take_away(case: CaseProjection, reason: str) -> None:
    case.state, case.unplaced_reason = "unplaced", reason
    case.area_id = case.lead_id = None
