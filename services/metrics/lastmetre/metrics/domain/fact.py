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


Changes = dict[str, Any]

ENDED: Final = frozenset({CaseState.CLOSED, CaseState.CANCELLED})


class LedgerBroken(ValueError):
    """The events are not a case's ledger: it does not begin with a registration, or has a hole."""


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
    change = _CHANGES.get(type(event))
    if event.seq != fact.seq + 1 or change is None:
        raise LedgerBroken(f"seq {event.seq}, {event.TYPE} cannot follow seq {fact.seq}")
    return _with(fact, {"seq": event.seq, **change(fact, event)})


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
    )


def _assigned(fact: Fact, event: cases.Assignment) -> Changes:
    return {
        "state": CaseState.DISPATCHED,
        "area_id": event.area_id,
        "lead_id": event.lead.lead_id,
        "unplaced_reason": None,
        "dispatched_at": fact.dispatched_at or event.occurred_at,
    }


def _unplaced(_: Fact, event: cases.CaseUnplaced) -> Changes:
    return _with_nobody(event.reason)


def _with_nobody(reason: str) -> Changes:
    return {
        "state": CaseState.UNPLACED,
        "area_id": None,
        "lead_id": None,
        "unplaced_reason": reason,
    }


def _accepted(fact: Fact, event: cases.CaseAccepted) -> Changes:
    return {
        "state": CaseState.ACCEPTED,
        "accepted_at": fact.accepted_at or event.occurred_at,
    }


def _arrived(fact: Fact, event: cases.CaseArrived) -> Changes:
    return {
        "state": CaseState.ON_SITE,
        "arrived_at": fact.arrived_at or event.occurred_at,
    }


def _resolved(fact: Fact, event: cases.CaseResolved) -> Changes:
    return {
        "state": CaseState.RESOLVED,
        "resolved_at": event.occurred_at,
        "fixed_on_spot": fact.channel == Channel.PATROL and event.occurred_at == fact.reported_at,
    }


def _returned(fact: Fact, _: cases.CaseReturned) -> Changes:
    return {**_with_nobody("returned"), "returns": fact.returns + 1}


def _verified(_: Fact, event: cases.CaseVerified) -> Changes:
    return {"state": CaseState.VERIFIED, "verified_at": event.occurred_at}


def _closed(fact: Fact, event: cases.CaseClosed) -> Changes:
    return {
        "state": CaseState.CLOSED,
        "open": False,
        "closed_at": event.occurred_at,
        "closing": event.seq,
        "closed_before_reported": event.occurred_at < fact.reported_at,
    }


def _cancelled(_: Fact, event: cases.CaseCancelled) -> Changes:
    return {
        "state": CaseState.CANCELLED,
        "open": False,
        "cancelled_at": event.occurred_at,
        "cancel_reason": event.reason,
    }


def _rated(_: Fact, event: cases.CaseRated) -> Changes:
    return {
        "rated_at": event.occurred_at,
        "rated_closing": event.closing,
        "solved": event.solved,
        "score": event.score,
    }


def _reopened(fact: Fact, _: cases.CaseReopened) -> Changes:
    return {
        "state": CaseState.REGISTERED,
        "open": True,
        "resolved_at": None,
        "verified_at": None,
        "closed_at": None,
        "closing": None,
        "reopenings": fact.reopenings + 1,
        "closed_before_reported": False,
        "fixed_on_spot": False,
    }


_CHANGES: Final[dict[type[CaseEvent], Callable[[Fact, Any], Changes]]] = {
    cases.CaseDispatched: _assigned,
    cases.CaseReassigned: _assigned,
    cases.CaseUnplaced: _unplaced,
    cases.CaseAccepted: _accepted,
    cases.CaseArrived: _arrived,
    cases.CaseResolved: _resolved,
    cases.CaseReturned: _returned,
    cases.CaseVerified: _verified,
    cases.CaseClosed: _closed,
    cases.CaseCancelled: _cancelled,
    cases.CaseRated: _rated,
    cases.CaseReopened: _reopened,
}
