"""What a member of staff asks of a case, by JSON or by a page's button."""

from collections.abc import Container
from uuid import UUID

import numpy as np
from pydantic import BaseModel, Field

from lastmetre.common.contracts.base import Accuracy, Actor, ActorRole, Code, Instant, Position
from lastmetre.common.contracts.cases import CorrectionReason, ReturnReason
from lastmetre.common.contracts.reports import Datum
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.common.contracts.vault import NoteText
from lastmetre.common.datum import to_wgs84
from lastmetre.common.security.callers import Person
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.ids import TRACEPARENT
from lastmetre.common.service.transactions import check_room
from lastmetre.common.web.problem import Problem
from lastmetre.common.web.words import N_
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.application.execute_commands import ExecuteAction, Outcome
from lastmetre.dispatch.application.hold_actions import Answer, HoldActions
from lastmetre.dispatch.application.note_words import NoteWords
from lastmetre.dispatch.domain.rules import unknown_category


class StaffAction(BaseModel):
    """An action on a case. `action_id` makes it safe to send again."""

    action: Action
    action_id: UUID | None = None
    expected_seq: int | None = Field(default=None, ge=1, le=2**31 - 1)
    occurred_at: Instant | None = None
    area_id: Code | None = None
    return_reason: ReturnReason | None = None
    cancel_reason: Code | None = None
    category: Code | None = None
    correction_reason: CorrectionReason | None = None
    latitude: float | None = Field(default=None, ge=-90, le=90)
    longitude: float | None = Field(default=None, ge=-180, le=180)
    datum: Datum = Datum.WGS84
    accuracy_metres: Accuracy | None = None
    note: NoteText | None = None
    into_case: Code | None = None
    """The case that the reports are to join, by id or number."""
    into_expected_seq: int | None = Field(default=None, ge=1, le=2**31 - 1)
    report_id: UUID | None = None

    @property
    def position(self) -> Position | None:
        """On WGS-84; None unless both degrees are there."""
        if self.latitude is None or self.longitude is None:
            return None
        east, north = to_wgs84(self.datum, np.array([self.longitude]), np.array([self.latitude]))
        return Position(latitude=round(float(north[0]), 7), longitude=round(float(east[0]), 7))


class ActOnCase:
    """Makes a request of it, and has that decided."""

    def __init__(
        self,
        host: ServiceHost,
        service: CaseService,
        execute: ExecuteAction,
        hold: HoldActions,
        notes: NoteWords,
        categories: Container[str],
    ) -> None:
        self._host = host
        self._service = service
        self._execute = execute
        self._hold = hold
        self._notes = notes
        self._categories = categories

    async def __call__(
        self, asked: StaffAction, known_as: str, person: Person, traceparent: str | None
    ) -> Outcome:
        """Decide at once.

        `traceparent` is the caller's trace, if it has a valid one. Raises Problem: 404 for an
        unknown case, 422 for a category or a case to join that the city does not know or a note
        without words, 503 while the outbox is over its limit, or the vault that is to keep a note
        is away.
        """
        request = await self._request(asked, known_as, person)
        return await self._execute(request, self._trace(traceparent))

    async def or_hold(
        self, asked: StaffAction, known_as: str, person: Person, traceparent: str | None
    ) -> Answer:
        """Decide later, if it is something that can be taken back until then. Raises the same."""
        request = await self._request(asked, known_as, person)
        return await self._hold(request, self._trace(traceparent))

    async def _request(self, asked: StaffAction, known_as: str, person: Person) -> ActionRequested:
        check_room(self._host)
        case_id = await self._service.case_known_as(known_as)
        if case_id is None:
            raise Problem(404, "/problems/unknown-case", N_("There is no such case"))
        now = self._host.clock.now()
        request = ActionRequested(
            case_id=case_id,
            action_id=asked.action_id or self._host.identities.uuid7(now),
            action=asked.action,
            actor=Actor(role=ActorRole(person.role.value), id=person.lead_id or person.subject),
            occurred_at=asked.occurred_at or now,
            expected_seq=asked.expected_seq,
            area_id=asked.area_id,
            return_reason=asked.return_reason,
            cancel_reason=asked.cancel_reason,
            category=asked.category,
            correction_reason=asked.correction_reason,
            position=asked.position,
            accuracy_metres=asked.accuracy_metres,
            into_case_id=await self._into(asked),
            into_expected_seq=asked.into_expected_seq,
            report_id=asked.report_id,
        )
        if (reason := unknown_category(request, self._categories)) is not None:
            raise Problem(
                422,
                "/problems/category-unknown",
                N_("The city knows no such category"),
                extra={"refusal": reason, "action_id": str(request.action_id)},
            )
        if request.action is Action.NOTE:
            await self._notes.keep(request.action_id, case_id, asked.note)
        return request

    async def _into(self, asked: StaffAction) -> UUID | None:
        if asked.into_case is None:
            return None
        case_id = await self._service.case_known_as(asked.into_case)
        if case_id is None:
            raise Problem(
                422,
                "/problems/into-case-unknown",
                N_("There is no case of that number to join it to"),
                extra={"refusal": "into_case_unknown"},
            )
        return case_id

    def _trace(self, traceparent: str | None) -> str:
        if traceparent and TRACEPARENT.match(traceparent.encode("latin-1")):
            return traceparent
        return self._host.identities.traceparent()
