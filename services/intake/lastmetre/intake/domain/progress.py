"""How far a case has come, in the five steps that a resident is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from lastmetre.intake.domain.case_view import Entry

StepName = Literal["received", "sent", "accepted", "on_site", "resolved"]
StepKind = Literal["past", "now", "skipped", ""]

STEPS: Final[tuple[StepName, ...]] = ("received", "sent", "accepted", "on_site", "resolved")
ENDED: Final = frozenset({"closed", "cancelled", "merged", "rejected"})

_REACHED: Final = {
    "received": 0,
    "registered": 0,
    "unplaced": 0,
    "dispatched": 1,
    "accepted": 2,
    "on_site": 3,
    "resolved": 4,
    "verified": 4,
    "closed": 5,
}
_STEP_OF_EVENT: Final[dict[str, StepName]] = {
    "dispatched": "sent",
    "reassigned": "sent",
    "accepted": "accepted",
    "arrived": "on_site",
    "resolved": "resolved",
}
_BEGINS_ANEW: Final = frozenset(
    {"dispatched", "reassigned", "unplaced", "reopened", "returned", "split"}
)


@dataclass(frozen=True, slots=True)
class Step:
    """A step, when it was reached (None: not yet, or never), and how it stands.

    `skipped`: the case has gone on without it, or nobody recorded it.
    """

    name: StepName
    at: datetime | None
    kind: StepKind


def steps(state: str, reported_at: datetime, timeline: Sequence[Entry]) -> list[Step]:
    """The five steps of a case in `state`; what happened before it was sent anew is left out."""
    at: dict[StepName, datetime] = {}
    for entry in timeline:
        if entry.type in _BEGINS_ANEW:
            at.clear()
        if (name := _STEP_OF_EVENT.get(entry.type)) is not None:
            at[name] = entry.occurred_at
    at["received"] = reported_at
    reached = _REACHED.get(state, 0)
    return [
        Step(name, at.get(name) if place <= reached else None, _kind(place, reached, name in at))
        for place, name in enumerate(STEPS)
    ]


def _kind(place: int, reached: int, recorded: bool) -> StepKind:
    if place == reached:
        return "now"
    if place > reached:
        return ""
    return "past" if recorded else "skipped"
