"""A case as notify sees it, folded from the ledger, and what each event asks to be told."""

from collections.abc import Mapping
from typing import Final, NamedTuple
from uuid import UUID

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import Language, Origin
from lastmetre.common.contracts.cases import CaseEvent, CaseState, LocalName
from lastmetre.notify.domain.messages import REPORTER, Kind, MessageRequest, lead_recipient


class CaseProjection(NamedTuple):
    """What the messages about a case need to know of it."""

    case_id: UUID
    seq: int
    asked: int
    reporter_reachable: bool
    acknowledged: bool
    report_id: UUID
    number: str
    language: Language
    origin: Origin
    category: str
    state: CaseState
    lead_id: str | None = None
    lead: LocalName | None = None


# Events that leave a case's state as it was are not here.
_STATES: Final[Mapping[type[CaseEvent], CaseState]] = {
    cases.CaseDispatched: CaseState.DISPATCHED,
    cases.CaseReassigned: CaseState.DISPATCHED,
    cases.CaseUnplaced: CaseState.UNPLACED,
    cases.CaseAccepted: CaseState.ACCEPTED,
    cases.CaseArrived: CaseState.ON_SITE,
    cases.CaseResolved: CaseState.RESOLVED,
    cases.CaseReturned: CaseState.REGISTERED,
    cases.CaseVerified: CaseState.VERIFIED,
    cases.CaseClosed: CaseState.CLOSED,
    cases.CaseCancelled: CaseState.CANCELLED,
    cases.CaseReopened: CaseState.REGISTERED,
}
_TO_REPORTER: Final[Mapping[type[CaseEvent], Kind]] = {
    cases.CaseAccepted: Kind.ACCEPTED,
    cases.CaseArrived: Kind.ARRIVED,
    cases.CaseClosed: Kind.CLOSED,
    cases.CaseCancelled: Kind.CANCELLED,
    cases.CaseReopened: Kind.REOPENED,
}
_PLACING: Final = frozenset({cases.CaseDispatched, cases.CaseUnplaced})
_WITHOUT_LEAD: Final = frozenset({cases.CaseUnplaced, cases.CaseReturned})


def first(event: cases.CaseRegistered) -> CaseProjection:
    """The case as its first event leaves it."""
    return CaseProjection(
        case_id=event.case_id,
        seq=event.seq,
        asked=0,
        reporter_reachable=event.reporter_reachable,
        acknowledged=False,
        report_id=event.report_id,
        number=event.number,
        language=event.language,
        origin=event.origin,
        category=event.category,
        state=CaseState.REGISTERED,
    )


def messages_for(case: CaseProjection, event: CaseEvent) -> list[MessageRequest]:
    """The messages that `event` asks for, `case` being the case before it."""
    found: list[MessageRequest] = []
    if isinstance(event, cases.Assignment):
        # A case can move between two areas of one lead: then nothing is handed over.
        if isinstance(event, cases.CaseReassigned) and event.previous_lead_id != event.lead.lead_id:
            former = lead_recipient(event.previous_lead_id)
            found.append(MessageRequest(Kind.HANDED_OVER, former, event.lead.name))
        found.append(
            MessageRequest(Kind.ASSIGNED, lead_recipient(event.lead.lead_id), event.lead.name)
        )
    if case.reporter_reachable:
        if _acknowledges(case, event):
            lead = event.lead.name if isinstance(event, cases.Assignment) else None
            found.append(MessageRequest(Kind.RECEIVED, REPORTER, lead))
        elif kind := _TO_REPORTER.get(type(event)):
            found.append(MessageRequest(kind, REPORTER, case.lead))
    return found


def _acknowledges(case: CaseProjection, event: CaseEvent) -> bool:
    return not case.acknowledged and type(event) in _PLACING


def apply(case: CaseProjection, event: CaseEvent, asked: int) -> CaseProjection:
    """The case after `event`, which asked for that many messages."""
    lead_id, lead = case.lead_id, case.lead
    if isinstance(event, cases.Assignment):
        lead_id, lead = event.lead.lead_id, event.lead.name
    elif type(event) in _WITHOUT_LEAD:
        lead_id = lead = None
    return case._replace(
        seq=event.seq,
        asked=case.asked + asked,
        acknowledged=case.acknowledged or _acknowledges(case, event),
        state=_STATES.get(type(event), case.state),
        lead_id=lead_id,
        lead=lead,
    )
