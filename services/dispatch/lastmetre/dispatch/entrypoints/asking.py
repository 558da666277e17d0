"""What a member of staff asks of a case, by JSON or by a page's button."""

from collections.abc import Container
from uuid import UUID

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lastmetre.common.contracts.base import Actor, ActorRole, Code, Instant, Position
from lastmetre.common.contracts.cases import MOST_METRES, CorrectionReason, ReturnReason
from lastmetre.common.contracts.reports import Datum
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.common.contracts.vault import NoteSent, NoteText
from lastmetre.common.datum import to_wgs84
from lastmetre.common.security.callers import Person
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.ids import TRACEPARENT
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.dispatch.adapters.vault import Kept, VaultClient
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.domain.rules import unknown_category


class ActionBody(BaseModel):
    """What a caller sends to act on a case. `action_id` makes it safe to send again."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

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
    accuracy_metres: float | None = Field(default=None, ge=0, le=MOST_METRES)
    note: NoteText | None = None

    @property
    def position(self) -> Position | None:
        """On WGS-84; None unless both degrees are there."""
        if self.latitude is None or self.longitude is None:
            return None
        east, north = to_wgs84(self.datum, np.array([self.longitude]), np.array([self.latitude]))
        return Position(latitude=round(float(north[0]), 7), longitude=round(float(east[0]), 7))


class Asking:
    """Makes requests for actions on behalf of members of staff, and has them decided."""

    def __init__(
        self,
        host: ServiceHost,
        service: CaseService,
        categories: Container[str],
        vault: VaultClient,
    ) -> None:
        self._host = host
        self._service = service
        self._categories = categories
        self._vault = vault

    async def request(
        self, body: ActionBody, known_as: str, person: Person, traceparent: str | None
    ) -> tuple[ActionRequested, str]:
        """The request with its trace; the words of a note are in the vault then.

        Raises Problem: 404 for an unknown case, 422 for a category that the city does not know or
        a note without words, 503 while the outbox is over its limit, or the vault is away.
        """
        host, now = self._host, self._host.clock.now()
        if not host.relay.has_room.is_set():
            raise Problem(
                503,
                "/problems/busy",
                N_("Not available for a moment"),
                headers={"Retry-After": "5"},
            )
        case_id = await self._service.case_known_as(known_as)
        if case_id is None:
            raise Problem(404, "/problems/unknown-case", N_("There is no such case"))
        asked = ActionRequested(
            case_id=case_id,
            action_id=body.action_id or host.identities.uuid7(now),
            action=body.action,
            actor=Actor(role=ActorRole(person.role.value), id=person.lead_id or person.subject),
            occurred_at=body.occurred_at or now,
            expected_seq=body.expected_seq,
            area_id=body.area_id,
            return_reason=body.return_reason,
            cancel_reason=body.cancel_reason,
            category=body.category,
            correction_reason=body.correction_reason,
            position=body.position,
            accuracy_metres=body.accuracy_metres,
        )
        if (reason := unknown_category(asked, self._categories)) is not None:
            raise Problem(
                422,
                "/problems/category-unknown",
                N_("The city knows no such category"),
                extra={"refusal": reason, "action_id": str(asked.action_id)},
            )
        if asked.action is Action.NOTE:
            await self._keep_note(asked, body.note)
        # The caller's trace if it sent a valid one, else a new one.
        valid = traceparent and TRACEPARENT.match(traceparent.encode("latin-1"))
        return asked, traceparent if traceparent and valid else host.identities.traceparent()

    async def _keep_note(self, asked: ActionRequested, text: str | None) -> None:
        """The first words under an action's id count."""
        found = await self._service.case(asked.case_id)
        if not text or found is None:
            raise Problem(422, "/problems/note-missing", N_("Please write what is to be noted."))
        note = NoteSent(note_id=asked.action_id, report_id=found[0].report_id, text=text)
        kept = await self._vault.keep_note(note)
        if kept is Kept.ERASED:
            raise Problem(
                409,
                "/problems/report-erased",
                N_("Nothing can be noted here any more"),
                N_("What was personal of this report has been erased."),
            )
        if kept is Kept.AWAY:
            raise Problem(
                503,
                "/problems/busy",
                N_("Not available for a moment"),
                headers={"Retry-After": "5"},
            )
