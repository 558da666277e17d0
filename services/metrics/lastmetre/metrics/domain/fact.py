"""The facts of a case: its ledger, folded into one row.

Everything here rests on when things happened, never on when we heard of them, so reading the
ledger again gives the same facts. A step that nobody recorded stays None: no data.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.case_model import (
    ENDED,
    STATE_AFTER,
    LedgerBroken,
    placement_after,
)
from lastmetre.common.contracts.cases import CaseEvent, CaseRegistered, CaseState


class Fact(NamedTuple):
    """What became of one case. Instants are aware, UTC.

    Registered, dispatched, accepted and arrived hold the first time, resolved, verified and closed
    the last one; a reopening takes those three back, because that closing did not hold.
    """

    case_id: UUID
    seq: int
    """The last event of the ledger that is in here."""
    number: str
    report_id: UUID
    channel: str
    sub_channel: str | None
    origin: str
    category: str
    source_category: str | None
    reported_at: datetime
    reported_day: date
    """The local day in the city when it was reported."""
    registered_at: datetime
    state: str
    open: bool
    area_id: str | None
    """Of the present or last assignment; None while nobody has the case."""
    lead_id: str | None
    unplaced_reason: str | None
    """Why it is in the command centre's queue, or was when it ended there."""
    dispatched_at: datetime | None
    accepted_at: datetime | None
    arrived_at: datetime | None
    resolved_at: datetime | None
    verified_at: datetime | None
    closed_at: datetime | None
    closing: int | None
    """The seq of the closing that counts."""
    cancelled_at: datetime | None
    cancel_reason: str | None
    returns: int
    reopenings: int
    rated_at: datetime | None
    rated_closing: int | None
    """The seq of the closing that the last rating judges."""
    solved: bool | None
    score: int | None
    closed_before_reported: bool
    """The source's times contradict each other: no response time can be had from them."""
    fixed_on_spot: bool
    """Found on patrol and dealt with at the same moment."""
    reports: int
    """The one that it was registered for, and those that have joined it. A merged case keeps its
    own; figures count it with the case that it has joined, and no merged case."""

    @property
    def response_seconds(self) -> float | None:
        """The whole way's response time; None where there is none."""
        if self.closed_at is None or self.closed_before_reported:
            return None
        return (self.closed_at - self.reported_at).total_seconds()


class Difference(NamedTuple):
    """A case whose live fact is not what its ledger says. None: there is no such fact."""

    case_id: UUID
    live: Fact | None
    rebuilt: Fact | None

    @property
    def fields(self) -> list[str]:
        """What differs; empty if one of the two is missing."""
        if self.live is None or self.rebuilt is None:
            return []
        pairs = zip(Fact._fields, self.live, self.rebuilt, strict=True)
        return [name for name, live, rebuilt in pairs if live != rebuilt]


Changes = dict[str, Any]


def apply(fact: Fact | None, event: CaseEvent, zone: ZoneInfo) -> Fact:
    """The fact after `event`; unchanged if it is already in there. `zone` is the city's.

    Raises LedgerBroken for an event whose turn it is not.
    """
    if fact is None:
        if event.seq != 1 or not isinstance(event, CaseRegistered):
            raise LedgerBroken(f"a ledger cannot begin with seq {event.seq}, {event.TYPE}")
        return _begin(event, zone)
    if event.seq <= fact.seq:
        return fact
    if event.seq != fact.seq + 1 or type(event) is CaseRegistered:
        raise LedgerBroken(f"seq {event.seq}, {event.TYPE} cannot follow seq {fact.seq}")
    changes: Changes = {"seq": event.seq}
    if (state := STATE_AFTER[type(event)]) is not None:
        changes["state"], changes["open"] = state, state not in ENDED
    if (placement := placement_after(event)) is not None:
        changes["area_id"], lead, changes["unplaced_reason"] = placement
        changes["lead_id"] = lead.lead_id if lead else None
    if (marks := _MARKS.get(type(event))) is not None:
        changes |= marks(fact, event)
    return _with(fact, changes)


_AT: Final = {name: at for at, name in enumerate(Fact._fields)}


def _with(fact: Fact, changes: Changes) -> Fact:
    """As `_replace`, which takes three times as long for so many fields."""
    row = list(fact)
    for name, value in changes.items():
        row[_AT[name]] = value
    return Fact._make(row)


def fold(events: Iterable[CaseEvent], zone: ZoneInfo) -> Fact | None:
    """The fact of one case's whole ledger, in whatever order and however often it is told."""
    fact: Fact | None = None
    for event in sorted(events, key=lambda event: event.seq):
        fact = apply(fact, event, zone)
    return fact


def _begin(event: CaseRegistered, zone: ZoneInfo) -> Fact:
    return Fact(
        case_id=event.case_id,
        seq=event.seq,
        number=event.number,
        report_id=event.report_id,
        channel=event.channel,
        sub_channel=event.sub_channel,
        origin=event.origin,
        category=event.category,
        source_category=event.source_category,
        reported_at=event.reported_at,
        reported_day=event.reported_at.astimezone(zone).date(),
        registered_at=event.occurred_at,
        state=CaseState.REGISTERED,
        open=True,
        area_id=None,
        lead_id=None,
        unplaced_reason=None,
        dispatched_at=None,
        accepted_at=None,
        arrived_at=None,
        resolved_at=None,
        verified_at=None,
        closed_at=None,
        closing=None,
        cancelled_at=None,
        cancel_reason=None,
        returns=0,
        reopenings=0,
        rated_at=None,
        rated_closing=None,
        solved=None,
        score=None,
        closed_before_reported=False,
        fixed_on_spot=False,
        reports=1,
    )


def _dispatched(fact: Fact, event: cases.Assignment) -> Changes:
    return {"dispatched_at": fact.dispatched_at or event.occurred_at}


def _accepted(fact: Fact, event: cases.CaseAccepted) -> Changes:
    return {"accepted_at": fact.accepted_at or event.occurred_at}


def _arrived(fact: Fact, event: cases.CaseArrived) -> Changes:
    return {"arrived_at": fact.arrived_at or event.occurred_at}


def _resolved(fact: Fact, event: cases.CaseResolved) -> Changes:
    return {
        "resolved_at": event.occurred_at,
        "fixed_on_spot": fact.channel == Channel.PATROL and event.occurred_at == fact.reported_at,
    }


def _returned(fact: Fact, _: cases.CaseReturned) -> Changes:
    return {"returns": fact.returns + 1}


def _verified(_: Fact, event: cases.CaseVerified) -> Changes:
    return {"verified_at": event.occurred_at}


def _closed(fact: Fact, event: cases.CaseClosed) -> Changes:
    return {
        "closed_at": event.occurred_at,
        "closing": event.seq,
        "closed_before_reported": event.occurred_at < fact.reported_at,
    }


def _cancelled(_: Fact, event: cases.CaseCancelled) -> Changes:
    return {"cancelled_at": event.occurred_at, "cancel_reason": event.reason}


def _category_changed(_: Fact, event: cases.CategoryChanged) -> Changes:
    return {"category": event.category}


def _rated(_: Fact, event: cases.CaseRated) -> Changes:
    return {
        "rated_at": event.occurred_at,
        "rated_closing": event.closing,
        "solved": event.solved,
        "score": event.score,
    }


def _reopened(fact: Fact, _: cases.CaseReopened) -> Changes:
    return {
        "resolved_at": None,
        "verified_at": None,
        "closed_at": None,
        "closing": None,
        "reopenings": fact.reopenings + 1,
        "closed_before_reported": False,
        "fixed_on_spot": False,
    }


def _merged(fact: Fact, _: cases.ReportMerged) -> Changes:
    return {"reports": fact.reports + 1}


def _split(fact: Fact, _: cases.ReportSplit) -> Changes:
    return {"reports": fact.reports - 1}


def _case_merged(_: Fact, __: cases.CaseMerged) -> Changes:
    return {"reports": 1}


_MARKS: Final[dict[type[CaseEvent], Callable[[Fact, Any], Changes]]] = {
    cases.CaseDispatched: _dispatched,
    cases.CaseReassigned: _dispatched,
    cases.CaseAccepted: _accepted,
    cases.CaseArrived: _arrived,
    cases.CaseResolved: _resolved,
    cases.CaseReturned: _returned,
    cases.CaseVerified: _verified,
    cases.CaseClosed: _closed,
    cases.CaseCancelled: _cancelled,
    cases.CategoryChanged: _category_changed,
    cases.CaseRated: _rated,
    cases.CaseReopened: _reopened,
    cases.ReportMerged: _merged,
    cases.ReportSplit: _split,
    cases.CaseMerged: _case_merged,
}
"""What an event adds to where the case stands and who has it."""
