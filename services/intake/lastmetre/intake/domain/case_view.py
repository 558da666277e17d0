"""A case as its reporters see it: what the ledger tells of it, with nothing that is not published.

Kept are the events alone. Where the case stands is read from these when somebody looks, which
happens less often than something is told.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.case_model import PLACING_NAMES, SHORT_NAMES, STATE_AFTER_NAME
from lastmetre.common.contracts.cases import CaseEvent, CaseState, PublishedLead

STAFF_ONLY: Final = frozenset({"noted"})
"""Events of which reporters are told nothing, by short name."""
RATED_BY: Final = "report_id"
"""Among a rating's details the report that has joined the case, if it is its reporter's."""


class Entry(NamedTuple):
    """One line of a case's timeline. `type` is the event's short name, as `accepted`."""

    seq: int
    type: str
    occurred_at: datetime
    recorded_at: datetime
    details: dict[str, Any]


class CaseView(NamedTuple):
    """A case with its timeline, which begins with its registration."""

    case_id: UUID
    number: str
    reports: int
    """How many there are of the same problem."""
    timeline: Sequence[Entry]

    @property
    def seq(self) -> int:
        """Of the last event."""
        return self.timeline[-1].seq

    @property
    def state(self) -> CaseState:
        """Where the case stands after it."""
        return state_after(entry.type for entry in self.timeline)

    @property
    def area_id(self) -> str | None:
        """Whose case it is now; None while nobody has it."""
        return self._placement.get("area_id")

    @property
    def lead(self) -> PublishedLead | None:
        """Who has it now."""
        lead = self._placement.get("lead")
        return PublishedLead.model_validate(lead) if lead else None

    @property
    def closing(self) -> int | None:
        """The seq of its last closing."""
        closed = (entry.seq for entry in reversed(self.timeline) if entry.type == "closed")
        return next(closed, None)

    @property
    def category(self) -> str | None:
        """What it was corrected to be; None: it is what its report was sent as."""
        changed = (each for each in reversed(self.timeline) if each.type == "category_changed")
        return next((each.details["category"] for each in changed), None)

    @property
    def _placement(self) -> dict[str, Any]:
        placed = (entry for entry in reversed(self.timeline) if entry.type in PLACING_NAMES)
        return next((entry.details for entry in placed), {})


class Followed(NamedTuple):
    """A report with what became of it, as its reporter may see it."""

    report_id: UUID
    identity: bytes
    channel: str
    outcome: str
    reasons: list[str]
    category: str
    reported_at: datetime
    latitude: float | None
    longitude: float | None
    view: CaseView | None
    joined: bool = False
    """Whether it has joined the case, which was registered for another report."""

    @property
    def timeline(self) -> Sequence[Entry]:
        """What its reporter is told of the case, oldest first; nothing before there is a case.

        Of ratings his own alone: another's says what somebody else thinks.
        """
        events = self.view.timeline if self.view else ()
        return [
            each
            for each in events
            if each.type not in STAFF_ONLY and (each.type != "rated" or self._gave(each))
        ]

    @property
    def found_solved(self) -> bool | None:
        """What its reporter said of the last closing: solved or not; None: nothing yet."""
        closing = self.view.closing if self.view else None
        rated = (each.details for each in self.timeline if each.type == "rated")
        return next((each["solved"] for each in rated if each["closing"] == closing), None)

    def _gave(self, rated: Entry) -> bool:
        """Whether it is its reporter's rating. One that names no report is of whoever sent the one
        that the case was registered for."""
        report_id = rated.details.get(RATED_BY)
        return not self.joined if report_id is None else report_id == str(self.report_id)


def state_of(followed: Followed | None) -> str:
    """The state that a resident sees; `received` until the report became a case."""
    if followed is None:
        return "received"
    if followed.outcome == "rejected":
        return "rejected"
    return followed.view.state if followed.view else "received"


def state_after(types: Iterable[str]) -> CaseState:
    """The state after events of these short names, the first of which registers the case."""
    return [state for each in types if (state := STATE_AFTER_NAME[each])][-1]


def entry(event: CaseEvent) -> Entry:
    """The timeline's line for `event`. Of reporters it says no more than which one rated."""
    details = _DETAILS.get(type(event))
    return Entry(
        event.seq,
        SHORT_NAMES[event.TYPE],
        event.occurred_at,
        event.recorded_at,
        details(event) if details else {},
    )


def _assigned(event: cases.Assignment) -> dict[str, Any]:
    return {"area_id": event.area_id, "lead": event.lead.model_dump(mode="json")}


def _with_reason(
    event: cases.CaseUnplaced | cases.CaseReturned | cases.CaseCancelled,
) -> dict[str, Any]:
    return {"reason": event.reason}


def _by(event: cases.CaseResolved | cases.CaseVerified) -> dict[str, Any]:
    """Of whoever said so, no more than the role: a step may be a rule's, or the centre's."""
    return {"by": event.actor.role.value}


def _category_changed(event: cases.CategoryChanged) -> dict[str, Any]:
    return {"category": event.category}


def _rated(event: cases.CaseRated) -> dict[str, Any]:
    by = {RATED_BY: str(event.report_id)} if event.report_id else {}
    return {"closing": event.closing, "solved": event.solved, "score": event.score} | by


def _reopened(event: cases.CaseReopened) -> dict[str, Any]:
    return {"closing": event.closing}


_DETAILS: Final[dict[type[CaseEvent], Callable[[Any], dict[str, Any]]]] = {
    cases.CaseDispatched: _assigned,
    cases.CaseReassigned: _assigned,
    cases.CaseUnplaced: _with_reason,
    cases.CaseReturned: _with_reason,
    cases.CaseCancelled: _with_reason,
    cases.CaseResolved: _by,
    cases.CaseVerified: _by,
    cases.CategoryChanged: _category_changed,
    cases.CaseRated: _rated,
    cases.CaseReopened: _reopened,
}
