"""A case as its reporter sees it: the ledger, folded, with nothing that is not published."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.contracts.cases import (
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
    PublishedLead,
)


class CaseView(NamedTuple):
    """Where a case stands after the event `seq`."""

    case_id: UUID
    report_id: UUID
    number: str
    seq: int
    state: str
    area_id: str | None = None
    lead: PublishedLead | None = None


class Entry(NamedTuple):
    """One line of a case's timeline. `type` is the event's short name, as `accepted`."""

    case_id: UUID
    seq: int
    type: str
    occurred_at: datetime
    recorded_at: datetime
    details: dict[str, Any]


_STATE_AFTER: Final[dict[type[CaseEvent], CaseState]] = {
    CaseAccepted: CaseState.ACCEPTED,
    CaseArrived: CaseState.ON_SITE,
    CaseResolved: CaseState.RESOLVED,
    CaseVerified: CaseState.VERIFIED,
    CaseClosed: CaseState.CLOSED,
    CaseCancelled: CaseState.CANCELLED,
}


def apply(view: CaseView | None, event: CaseEvent) -> CaseView:
    """The view after `event`. Raises ValueError for a ledger that does not begin with a case."""
    if isinstance(event, CaseRegistered):
        return CaseView(
            event.case_id, event.report_id, event.number, event.seq, CaseState.REGISTERED.value
        )
    if view is None:
        raise ValueError("the ledger of a case begins with its registration")
    if isinstance(event, Assignment):
        return view._replace(
            seq=event.seq,
            state=CaseState.DISPATCHED.value,
            area_id=event.area_id,
            lead=event.lead,
        )
    if isinstance(event, CaseUnplaced):
        return view._replace(seq=event.seq, state=CaseState.UNPLACED.value, area_id=None, lead=None)
    state = _STATE_AFTER.get(type(event))
    return view._replace(seq=event.seq, state=state.value if state else view.state)


def entry(event: CaseEvent) -> Entry:
    """The timeline's line for `event`."""
    return Entry(
        event.case_id,
        event.seq,
        short_name(event.TYPE),
        event.occurred_at,
        event.recorded_at,
        _details(event),
    )


def short_name(event_type: str) -> str:
    """`accepted` for `lastmetre.case.accepted.v1`."""
    return event_type.split(".")[2]


def _details(event: CaseEvent) -> dict[str, Any]:
    if isinstance(event, Assignment):
        return {"area_id": event.area_id, "lead": event.lead.model_dump(mode="json")}
    if isinstance(event, CaseUnplaced | CaseReturned | CaseCancelled):
        return {"reason": event.reason}
    if isinstance(event, CaseRated):
        return {"closing": event.closing, "solved": event.solved, "score": event.score}
    if isinstance(event, CaseReopened):
        return {"closing": event.closing}
    return {}
