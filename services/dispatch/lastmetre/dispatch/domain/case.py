"""A case as its ledger leaves it: `apply` is the only way that it changes."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from lastmetre.common.contracts.base import Channel, Code, Language, Origin, Position
from lastmetre.common.contracts.cases import (
    Assignment,
    CaseAccepted,
    CaseArrived,
    CaseCancelled,
    CaseClosed,
    CaseEvent,
    CaseRated,
    CaseRegistered,
    CaseReopened,
    CaseResolved,
    CaseReturned,
    CaseState,
    CaseUnplaced,
    CaseVerified,
)

WITH_A_LEAD: Final = frozenset({CaseState.DISPATCHED, CaseState.ACCEPTED, CaseState.ON_SITE})
OPEN: Final = WITH_A_LEAD | {CaseState.REGISTERED, CaseState.UNPLACED}


class Case(NamedTuple):
    """What dispatch needs to know to decide. Times are aware, UTC."""

    case_id: UUID
    seq: int
    state: CaseState
    number: Code
    report_id: UUID
    channel: Channel
    origin: Origin
    category: Code
    language: Language
    reported_at: datetime
    position: Position | None
    changed_at: datetime
    area_id: Code | None = None
    lead_id: Code | None = None
    unplaced_reason: str | None = None
    closings: tuple[int, ...] = ()
    """The seq of each time it was closed."""
    rated: tuple[int, ...] = ()
    """Those of the closings that the reporter has judged."""

    @property
    def is_open(self) -> bool:
        """Somebody still has to do something."""
        return self.state in OPEN


_STATE_AFTER: Final[dict[type[CaseEvent], CaseState]] = {
    CaseAccepted: CaseState.ACCEPTED,
    CaseArrived: CaseState.ON_SITE,
    CaseResolved: CaseState.RESOLVED,
    CaseVerified: CaseState.VERIFIED,
    CaseCancelled: CaseState.CANCELLED,
}


def begin(event: CaseRegistered) -> Case:
    """The case that a ledger's first event makes."""
    return Case(
        case_id=event.case_id,
        seq=event.seq,
        state=CaseState.REGISTERED,
        number=event.number,
        report_id=event.report_id,
        channel=event.channel,
        origin=event.origin,
        category=event.category,
        language=event.language,
        reported_at=event.reported_at,
        position=event.position,
        changed_at=event.occurred_at,
    )


def apply(case: Case, event: CaseEvent) -> Case:
    """The case after `event`."""
    seq, changed_at = event.seq, event.occurred_at
    if (state := _STATE_AFTER.get(type(event))) is not None:
        return case._replace(seq=seq, changed_at=changed_at, state=state)
    if isinstance(event, Assignment):
        return case._replace(
            seq=seq,
            changed_at=changed_at,
            state=CaseState.DISPATCHED,
            area_id=event.area_id,
            lead_id=event.lead.lead_id,
            unplaced_reason=None,
        )
    if isinstance(event, CaseUnplaced):
        return case._replace(
            seq=seq,
            changed_at=changed_at,
            state=CaseState.UNPLACED,
            area_id=None,
            lead_id=None,
            unplaced_reason=event.reason,
        )
    if isinstance(event, CaseClosed):
        return case._replace(
            seq=seq,
            changed_at=changed_at,
            state=CaseState.CLOSED,
            closings=(*case.closings, seq),
        )
    if isinstance(event, CaseRated):
        return case._replace(seq=seq, rated=(*case.rated, event.closing))
    assert isinstance(event, CaseReturned | CaseReopened)
    return case._replace(seq=seq, changed_at=changed_at)


def fold(case: Case | None, event: CaseEvent) -> Case:
    """The case after `event`; None is before its first one, which registers it."""
    if case is not None:
        return apply(case, event)
    if not isinstance(event, CaseRegistered):
        raise ValueError(f"a ledger cannot begin with {event.TYPE}")
    return begin(event)
