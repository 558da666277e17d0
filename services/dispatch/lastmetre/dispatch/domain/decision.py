"""What a decision comes to: the events that follow, or a refusal with its reason."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from lastmetre.common.contracts.base import Actor, Origin
from lastmetre.common.contracts.case_model import Case, apply
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.requests import RefusalReason


class Refusal(NamedTuple):
    """What is not allowed, and why; nothing has changed."""

    reason: RefusalReason


class Decision(NamedTuple):
    """The case afterwards and the events that led there."""

    case: Case
    events: tuple[CaseEvent, ...]
    others: tuple["Decision", ...] = ()
    """What it comes to in other cases: done with it, or not at all."""


class Recorder:
    """Collects a decision's events, each numbered after the one before; the first says `answers`:
    the action that it answers, and who sent that."""

    def __init__(
        self, case: Case, now: datetime, answers: Mapping[str, UUID | str | None] | None = None
    ) -> None:
        self.case = case
        self.now = now
        self._answers = answers or {}
        self.events: list[CaseEvent] = []

    def record(
        self, kind: type[CaseEvent], actor: Actor, occurred_at: datetime, **facts: Any
    ) -> None:
        facts |= self._answers
        self._answers = {}
        event = kind(
            case_id=self.case.case_id,
            seq=self.case.seq + 1,
            occurred_at=occurred_at,
            recorded_at=self.now,
            actor=actor,
            **facts,
        )
        self.case = apply(self.case, event)
        self.events.append(event)

    def machine_time(self, cause: datetime) -> datetime:
        """When a step of ours happens: with its cause in history, now otherwise."""
        return cause if self.case.origin is Origin.IMPORT else self.now

    def decision(self) -> Decision:
        return Decision(self.case, tuple(self.events))
