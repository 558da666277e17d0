"""A case as notify sees it, folded from the ledger, and what each event asks to be told."""

from collections.abc import Mapping
from typing import Final, NamedTuple
from uuid import UUID

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import Language, Origin
from lastmetre.common.contracts.case_model import (
    STATE_AFTER,
    LedgerBroken,
    merged_after,
    placement_after,
)
from lastmetre.common.contracts.cases import (
    CaseEvent,
    CaseRegistered,
    CaseState,
    LocalName,
    ReportMerged,
    ReportSplit,
)
from lastmetre.notify.domain.messages import (
    REPORTER,
    Kind,
    MessageRequest,
    lead_recipient,
    merged_recipient,
)


class MergedReport(NamedTuple):
    """A report that has joined a case, as far as messages to its reporter need it."""

    report_id: UUID
    language: Language
    origin: Origin
    reporter_reachable: bool


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
    merged: tuple[MergedReport, ...] = ()


_TO_REPORTERS: Final[Mapping[type[CaseEvent], Kind]] = {
    cases.CaseAccepted: Kind.ACCEPTED,
    cases.CaseArrived: Kind.ARRIVED,
    cases.CaseClosed: Kind.CLOSED,
    cases.CaseCancelled: Kind.CANCELLED,
    cases.CaseReopened: Kind.REOPENED,
    cases.CaseSplit: Kind.SPLIT,
}
_PLACING: Final = frozenset({cases.CaseDispatched, cases.CaseUnplaced})
# Not by isinstance: that runs Python code of pydantic's for each class, in the way of every event.
_ASSIGNING: Final = frozenset({cases.CaseDispatched, cases.CaseReassigned})
_OF_REPORTS: Final = frozenset({ReportMerged, ReportSplit})


def first(event: CaseEvent) -> CaseProjection:
    """The case as its first event leaves it; raises LedgerBroken if that registers none."""
    if not isinstance(event, CaseRegistered):
        raise LedgerBroken("the case's first event is not its registration")
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
    kind = type(event)
    found = _to_leads(case, event) if kind in _ASSIGNING else []
    if _acknowledges(case, kind):
        if case.reporter_reachable:
            placement = placement_after(event)
            lead = placement.lead.name if placement and placement.lead else None
            found.append(MessageRequest(Kind.RECEIVED, REPORTER, case.origin, lead))
    elif what := _TO_REPORTERS.get(kind):
        found += _to_reporters(case, what, case.lead)
    elif kind is cases.CaseDispatched and case.state is CaseState.UNPLACED:
        # They were told that the centre looks for somebody.
        placement = placement_after(event)
        assert placement is not None
        assert placement.lead is not None
        found += _to_reporters(case, Kind.PLACED, placement.lead.name)
    elif kind in _OF_REPORTS and isinstance(event, ReportMerged) and event.reporter_reachable:
        recipient = merged_recipient(event.report_id)
        found.append(MessageRequest(Kind.MERGED, recipient, event.origin, case.lead))
    return found


def _to_leads(case: CaseProjection, event: CaseEvent) -> list[MessageRequest]:
    """To the lead who gets the case, and to the one whom it is taken from."""
    assert isinstance(event, cases.Assignment)
    lead_id, name = event.lead.lead_id, event.lead.name
    assigned = MessageRequest(Kind.ASSIGNED, lead_recipient(lead_id), case.origin, name)
    # A case can move between two areas of one lead: then nothing is handed over.
    if isinstance(event, cases.CaseReassigned) and event.previous_lead_id != lead_id:
        former = lead_recipient(event.previous_lead_id)
        return [MessageRequest(Kind.HANDED_OVER, former, case.origin, name), assigned]
    return [assigned]


def _to_reporters(case: CaseProjection, what: Kind, lead: LocalName | None) -> list[MessageRequest]:
    """To everybody whose report the case has, as far as they can be reached."""
    told: list[MessageRequest] = []
    if case.reporter_reachable:
        told.append(MessageRequest(what, REPORTER, case.origin, lead))
    if case.merged:
        told += [
            MessageRequest(what, merged_recipient(each.report_id), each.origin, lead)
            for each in case.merged
            if each.reporter_reachable
        ]
    return told


def _acknowledges(case: CaseProjection, kind: type[CaseEvent]) -> bool:
    return not case.acknowledged and kind in _PLACING


def apply(case: CaseProjection, event: CaseEvent, asked: int) -> CaseProjection:
    """The case after `event`, which asked for that many messages; raises LedgerBroken."""
    kind, asked = type(event), case.asked + asked
    if kind in _OF_REPORTS:
        return case._replace(seq=event.seq, asked=asked, merged=_merged(case, event))
    if kind is cases.CategoryChanged:
        assert isinstance(event, cases.CategoryChanged)
        return case._replace(seq=event.seq, asked=asked, category=event.category)
    state = STATE_AFTER[kind] or case.state
    if kind is cases.CaseMerged:
        return case._replace(seq=event.seq, asked=asked, state=state, merged=())
    placement = placement_after(event)
    if placement is None:
        return case._replace(seq=event.seq, asked=asked, state=state)
    lead = placement.lead
    return case._replace(
        seq=event.seq,
        asked=asked,
        acknowledged=case.acknowledged or kind in _PLACING,
        state=state,
        lead_id=lead.lead_id if lead else None,
        lead=lead.name if lead else None,
    )


def _merged(case: CaseProjection, event: CaseEvent) -> tuple[MergedReport, ...]:
    """The reports that have joined, after one has joined or left."""
    assert isinstance(event, ReportMerged | ReportSplit)
    known = {each.report_id: each for each in case.merged}
    if isinstance(event, ReportMerged):
        known.setdefault(
            event.report_id,
            MergedReport(event.report_id, event.language, event.origin, event.reporter_reachable),
        )
    merged = merged_after(case.report_id, tuple(each.report_id for each in case.merged), event)
    return tuple(known[each] for each in merged)
