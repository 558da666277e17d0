"""A case as its reporter sees it: what the ledger tells of it, with nothing that is not published.

Kept are the events alone. Where the case stands is read from these when somebody looks, which
happens less often than something is told.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import message_types
from lastmetre.common.contracts.cases import CaseEvent, CaseState, PublishedLead


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
    report_id: UUID
    number: str
    timeline: Sequence[Entry]

    @property
    def seq(self) -> int:
        """Of the last event."""
        return self.timeline[-1].seq

    @property
    def state(self) -> str:
        """Where the case stands after it."""
        return state_after(entry.type for entry in self.timeline)

    @property
    def area_id(self) -> str | None:
        """Whose case it is now; None while nobody has it."""
        return self._assignment.get("area_id")

    @property
    def lead(self) -> PublishedLead | None:
        """Who has it now."""
        lead = self._assignment.get("lead")
        return PublishedLead.model_validate(lead) if lead else None

    @property
    def _assignment(self) -> dict[str, Any]:
        given = (entry for entry in reversed(self.timeline) if entry.type in _PLACING)
        return next((entry.details for entry in given), {})


_STATE_AFTER: Final = {
    "registered": CaseState.REGISTERED,
    "unplaced": CaseState.UNPLACED,
    "dispatched": CaseState.DISPATCHED,
    "reassigned": CaseState.DISPATCHED,
    "accepted": CaseState.ACCEPTED,
    "arrived": CaseState.ON_SITE,
    "resolved": CaseState.RESOLVED,
    "verified": CaseState.VERIFIED,
    "closed": CaseState.CLOSED,
    "cancelled": CaseState.CANCELLED,
}
_PLACING: Final = frozenset({"dispatched", "reassigned", "unplaced"})


def state_after(types: Iterable[str]) -> str:
    """The state after events of these short names; some of them leave it as it was."""
    return [state for each in types if (state := _STATE_AFTER.get(each))][-1].value


def entry(event: CaseEvent) -> Entry:
    """The timeline's line for `event`."""
    details = _DETAILS.get(type(event))
    return Entry(
        event.seq,
        _SHORT_NAMES[event.TYPE],
        event.occurred_at,
        event.recorded_at,
        details(event) if details else {},
    )


_SHORT_NAMES: Final = {name: name.split(".")[2] for name in message_types(cases)}
"""`accepted` for `lastmetre.case.accepted.v1`."""


def _assigned(event: cases.Assignment) -> dict[str, Any]:
    return {"area_id": event.area_id, "lead": event.lead.model_dump(mode="json")}


def _with_reason(
    event: cases.CaseUnplaced | cases.CaseReturned | cases.CaseCancelled,
) -> dict[str, Any]:
    return {"reason": event.reason}


def _rated(event: cases.CaseRated) -> dict[str, Any]:
    return {"closing": event.closing, "solved": event.solved, "score": event.score}


def _reopened(event: cases.CaseReopened) -> dict[str, Any]:
    return {"closing": event.closing}


_DETAILS: Final[dict[type[CaseEvent], Callable[[Any], dict[str, Any]]]] = {
    cases.CaseDispatched: _assigned,
    cases.CaseReassigned: _assigned,
    cases.CaseUnplaced: _with_reason,
    cases.CaseReturned: _with_reason,
    cases.CaseCancelled: _with_reason,
    cases.CaseRated: _rated,
    cases.CaseReopened: _reopened,
}
