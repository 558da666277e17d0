"""What a case is: which event leads to which state, and the fold of a case's ledger.

Pure. Who keeps a whole case folds with `begin` and `apply`. Who keeps a part of it asks for that
part (`STATE_AFTER`, `placement_after`, `merged_after`) and adds what is its own.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import Channel, Code, Language, Origin, Position
from lastmetre.common.contracts.cases import (
    CaseEvent,
    CaseRegistered,
    CaseState,
    PublishedLead,
    ReportMerged,
    ReportSplit,
)

WITH_A_LEAD: Final = frozenset({CaseState.DISPATCHED, CaseState.ACCEPTED, CaseState.ON_SITE})
OPEN: Final = WITH_A_LEAD | {CaseState.REGISTERED, CaseState.UNPLACED}
"""Somebody still has to do something."""
ENDED: Final = frozenset({CaseState.CLOSED, CaseState.CANCELLED, CaseState.MERGED})

STATE_AFTER: Final[Mapping[type[CaseEvent], CaseState | None]] = {
    cases.CaseRegistered: CaseState.REGISTERED,
    cases.CaseDispatched: CaseState.DISPATCHED,
    cases.CaseReassigned: CaseState.DISPATCHED,
    cases.CaseUnplaced: CaseState.UNPLACED,
    cases.CaseAccepted: CaseState.ACCEPTED,
    cases.CaseArrived: CaseState.ON_SITE,
    cases.CaseResolved: CaseState.RESOLVED,
    cases.CaseReturned: CaseState.UNPLACED,
    cases.CaseVerified: CaseState.VERIFIED,
    cases.CaseClosed: CaseState.CLOSED,
    cases.CaseCancelled: CaseState.CANCELLED,
    cases.CaseReopened: CaseState.REGISTERED,
    cases.CaseMerged: CaseState.MERGED,
    cases.CaseSplit: CaseState.REGISTERED,
    cases.CategoryChanged: None,
    cases.LocationChanged: None,
    cases.CaseNoted: None,
    cases.CaseRated: None,
    cases.ReportMerged: None,
    cases.ReportSplit: None,
}
"""The state that each event leads to; None: it stays as it was."""

EVENT_TYPES: Final[Mapping[str, type[CaseEvent]]] = {kind.TYPE: kind for kind in STATE_AFTER}
"""Every event by its CloudEvents type."""
SHORT_NAMES: Final[Mapping[str, str]] = {name: name.split(".")[2] for name in EVENT_TYPES}
"""By CloudEvents type: `accepted` for `lastmetre.case.accepted.v1`."""

STATE_AFTER_NAME: Final[Mapping[str, CaseState | None]] = {
    SHORT_NAMES[kind.TYPE]: state for kind, state in STATE_AFTER.items()
}
"""`STATE_AFTER` by short name."""


class LedgerBroken(ValueError):
    """The events are no case's ledger: they contradict each other, or do not follow."""


class Placement(NamedTuple):
    """Who has a case: the lead of an area, or nobody, for a reason."""

    area_id: Code | None
    lead: PublishedLead | None
    unplaced_reason: str | None


def _assigned(event: cases.Assignment) -> Placement:
    return Placement(event.area_id, event.lead, None)


def _unplaced(event: cases.CaseUnplaced) -> Placement:
    return Placement(None, None, event.reason)


def _returned(_: cases.CaseReturned) -> Placement:
    return Placement(None, None, "returned")


_PLACEMENTS: Final[Mapping[type[CaseEvent], Callable[[Any], Placement]]] = {
    cases.CaseDispatched: _assigned,
    cases.CaseReassigned: _assigned,
    cases.CaseUnplaced: _unplaced,
    cases.CaseReturned: _returned,
}
PLACING_NAMES: Final = frozenset(SHORT_NAMES[kind.TYPE] for kind in _PLACEMENTS)
"""Short names of the events that say who has the case."""
# Not by isinstance: that runs Python code of pydantic's for each class, in the way of every event.
_NO_STEPS: Final = frozenset(kind for kind, state in STATE_AFTER.items() if state is None)


def placement_after(event: CaseEvent) -> Placement | None:
    """Who has the case after `event`; None: who had it before."""
    placement = _PLACEMENTS.get(type(event))
    return placement(event) if placement else None


def merged_after(
    report_id: UUID, merged: tuple[UUID, ...], event: ReportMerged | ReportSplit
) -> tuple[UUID, ...]:
    """The reports that have joined a case which was registered for `report_id`, after `event`.

    Raises LedgerBroken if one joins that is there, or leaves that is not.
    """
    known = event.report_id in merged
    if isinstance(event, ReportSplit):
        if not known:
            raise LedgerBroken(f"report {event.report_id} leaves a case that it had not joined")
        return tuple(each for each in merged if each != event.report_id)
    if known or event.report_id == report_id:
        raise LedgerBroken(f"report {event.report_id} joins a case that it belongs to")
    return (*merged, event.report_id)


class Case(NamedTuple):
    """A case as its ledger leaves it. Times are aware, UTC."""

    case_id: UUID
    seq: int
    state: CaseState
    number: Code
    report_id: UUID
    """The report that it was registered for."""
    channel: Channel
    origin: Origin
    category: Code
    language: Language
    reported_at: datetime
    position: Position | None
    changed_at: datetime
    """When its last step happened. A rating, a correction, a note, a report that joins or leaves,
    are no steps of it."""
    area_id: Code | None = None
    lead_id: Code | None = None
    unplaced_reason: str | None = None
    closings: tuple[int, ...] = ()
    """The seq of each time it was closed."""
    rated: tuple[int, ...] = ()
    """Those of the closings that were judged by whose report it was registered for."""
    merged: tuple[UUID, ...] = ()
    """The reports that have joined it, in their order."""
    accuracy_metres: float | None = None
    """The radius of doubt of a position that was set by hand; None: it is the report's."""
    reported_accuracy_metres: float | None = None
    """That of the report's position; None: its sender did not say."""

    @property
    def within_metres(self) -> float | None:
        """The radius of doubt of its position; None: nobody said."""
        by_hand = self.accuracy_metres
        return self.reported_accuracy_metres if by_hand is None else by_hand

    @property
    def is_open(self) -> bool:
        """Somebody still has to do something."""
        return self.state in OPEN

    @property
    def report_ids(self) -> tuple[UUID, ...]:
        """All its reports, the one that it was registered for first, also of a merged case."""
        return (self.report_id, *self.merged)


def begin(event: CaseEvent) -> Case:
    """The case that a ledger's first event makes; raises LedgerBroken if it registers none."""
    if not isinstance(event, CaseRegistered) or event.seq != 1:
        raise LedgerBroken(f"a ledger cannot begin with seq {event.seq}, {event.TYPE}")
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
        reported_accuracy_metres=event.reported_accuracy_metres,
    )


def apply(case: Case, event: CaseEvent) -> Case:
    """The case after `event`, the one that follows its last; raises LedgerBroken."""
    kind, seq = type(event), event.seq
    if seq != case.seq + 1 or kind is CaseRegistered:
        raise LedgerBroken(f"seq {seq}, {event.TYPE} cannot follow seq {case.seq}")
    state = STATE_AFTER[kind] or case.state
    if (placement := placement_after(event)) is not None:
        lead = placement.lead
        return case._replace(
            seq=seq,
            changed_at=event.occurred_at,
            state=state,
            area_id=placement.area_id,
            lead_id=lead.lead_id if lead else None,
            unplaced_reason=placement.unplaced_reason,
        )
    if kind in _NO_STEPS:
        return _aside(case, event)
    if kind is cases.CaseClosed:
        return case._replace(
            seq=seq, changed_at=event.occurred_at, state=state, closings=(*case.closings, seq)
        )
    if kind is cases.CaseMerged:
        return case._replace(seq=seq, changed_at=event.occurred_at, state=state, merged=())
    return case._replace(seq=seq, changed_at=event.occurred_at, state=state)


def _aside(case: Case, event: CaseEvent) -> Case:
    """After what is no step of the case."""
    if isinstance(event, cases.CaseRated):
        if event.report_id is not None:
            return case._replace(seq=event.seq)
        return case._replace(seq=event.seq, rated=(*case.rated, event.closing))
    if isinstance(event, cases.CategoryChanged):
        return case._replace(seq=event.seq, category=event.category)
    if isinstance(event, cases.LocationChanged):
        accuracy = event.accuracy_metres
        return case._replace(seq=event.seq, position=event.position, accuracy_metres=accuracy)
    if isinstance(event, cases.CaseNoted):
        return case._replace(seq=event.seq)
    assert isinstance(event, ReportMerged | ReportSplit)
    merged = merged_after(case.report_id, case.merged, event)
    return case._replace(seq=event.seq, merged=merged)


def fold(case: Case | None, event: CaseEvent) -> Case:
    """The case after `event`; None is before its first one. Raises LedgerBroken."""
    return begin(event) if case is None else apply(case, event)
