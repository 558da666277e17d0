"""HTTP in: actions on cases, a case by id, and the network of areas."""

from collections import Counter
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from lastmetre.common.contracts.base import Actor, ActorRole, Code, Instant
from lastmetre.common.contracts.cases import LocalName, PublishedLead, ReturnReason
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.common.kafka.codec import instant
from lastmetre.common.outlines import BadOutline, read_outline
from lastmetre.common.security.access import GuardedRoute, ServiceKey, allow
from lastmetre.common.security.callers import Person, Role
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.ids import TRACEPARENT
from lastmetre.common.web.bodies import read_model
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.dispatch.adapters.postgres.ledger import LedgerLine
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.application.execute_commands import Outcome
from lastmetre.dispatch.domain.network import Area

NETWORK_BYTES: Final = 64 * 1024 * 1024
STAFF: Final = (Role.LEAD, Role.OPERATOR, Role.SUPERVISOR, Role.ADMINISTRATOR)
STATUS_OF_REFUSAL: Final = {
    "unknown_case": 404,
    "not_your_case": 403,
    "not_allowed_for_role": 403,
    "reason_missing": 422,
    "area_missing": 422,
    "area_unknown": 422,
    "expected_seq_missing": 422,
    "happens_in_the_future": 422,
    "happens_before_the_last_step": 422,
    "happened_too_long_ago": 422,
}


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


class AreaBody(BaseModel):
    """An area as an import sends it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    area_id: Code
    name: LocalName
    town: LocalName | None = None
    outline: dict[str, Any]
    lead: PublishedLead | None = None


class NetworkBody(BaseModel):
    """The whole network."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    areas: list[AreaBody]
    dry_run: bool = False


def requested(
    body: ActionBody, case_id: UUID, person: Person, host: ServiceHost
) -> ActionRequested:
    """The request that a member of staff makes by `body`."""
    now = host.clock.now()
    return ActionRequested(
        case_id=case_id,
        action_id=body.action_id or host.identities.uuid7(now),
        action=body.action,
        actor=Actor(role=ActorRole(person.role.value), id=person.lead_id or person.subject),
        occurred_at=body.occurred_at or now,
        expected_seq=body.expected_seq,
        area_id=body.area_id,
        return_reason=body.return_reason,
        cancel_reason=body.cancel_reason,
    )


def traceparent_of(request: Request, host: ServiceHost) -> str:
    """The caller's trace if it sent a valid one, else a new one."""
    sent = request.headers.get("traceparent", "")
    valid = TRACEPARENT.match(sent.encode("latin-1"))
    return sent if valid else host.identities.traceparent()


def api_router(host: ServiceHost, service: CaseService) -> APIRouter:
    """The JSON API of dispatch."""
    router = APIRouter(route_class=GuardedRoute)

    @router.get("/api/dispatch/v1/cases/{known_as}")
    @allow(Role.OPERATOR, Role.SUPERVISOR, Role.ADMINISTRATOR, ServiceKey("intake", "metrics"))
    async def case(known_as: str) -> Response:
        """By id or by the number for people."""
        case_id = await service.case_known_as(known_as)
        found = None if case_id is None else await service.case(case_id)
        if found is None:
            raise Problem(404, "/problems/unknown-case", N_("There is no such case"))
        known, lines = found
        return JSONResponse(
            {
                "case_id": str(known.case_id),
                "number": known.number,
                "report_id": str(known.report_id),
                "report_ids": [str(each) for each in known.report_ids],
                "state": known.state.value,
                "seq": known.seq,
                "area_id": known.area_id,
                "lead_id": known.lead_id,
                "unplaced_reason": known.unplaced_reason,
                "ledger": [line_document(line) for line in lines],
            }
        )

    @router.get("/network")
    @allow(*STAFF)
    async def network() -> Response:
        current = await service.network()
        return JSONResponse(
            {
                "version": current.version,
                "areas": [
                    {
                        "area_id": area.area_id,
                        "name": area.name.model_dump(),
                        "lead": area.lead and area.lead.model_dump(),
                    }
                    for area in current.areas.values()
                ],
            }
        )

    @router.put("/network")
    @allow(Role.ADMINISTRATOR)
    async def replace(request: Request) -> Response:
        body = await read_model(request, NetworkBody, NETWORK_BYTES)
        areas = [checked_area(each) for each in body.areas]
        twice = [area_id for area_id, n in Counter(a.area_id for a in areas).items() if n > 1]
        if twice:
            raise Problem(
                422,
                "/problems/area-twice",
                N_("An area is there twice"),
                extra={"area_ids": sorted(twice)[:20]},
            )
        published = await service.publish(areas, dry_run=body.dry_run)
        return JSONResponse(
            {
                "added": published.added,
                "changed": published.changed,
                "removed": published.removed,
                "open_cases_left": published.open_cases_left,
                "version": (await service.network()).version,
                "dry_run": body.dry_run,
            }
        )

    return router


def checked_area(body: AreaBody) -> Area:
    """Checked: a polygon whose rings do not cross, and that fits into a record."""
    try:
        outline = read_outline(body.outline).geometry
    except BadOutline as error:
        raise _bad_outline(body.area_id, str(error)) from error
    return Area(body.area_id, body.name, body.town, outline, body.lead)


def _bad_outline(area_id: str, reason: str) -> Problem:
    return Problem(
        422,
        "/problems/outline",
        N_("The outline of an area is not good"),
        extra={"area_id": area_id, "reason": reason},
    )


def line_document(line: LedgerLine) -> dict[str, Any]:
    """An entry of the ledger as JSON."""
    return {
        "seq": line.seq,
        "type": line.type,
        "occurred_at": instant(line.occurred_at),
        "recorded_at": instant(line.recorded_at),
        "actor_role": line.actor_role,
        "actor_id": line.actor_id,
    }


def refusal(outcome: Outcome) -> Problem:
    """What a refused action answers: why, and what happened meanwhile."""
    result, case = outcome.result, outcome.case
    return Problem(
        STATUS_OF_REFUSAL.get(result.refusal or "", 409),
        f"/problems/{(result.refusal or '').replace('_', '-')}",
        N_("This was not done"),
        extra={
            "refusal": result.refusal,
            "action_id": str(result.request_id),
            "case_id": str(result.case_id),
            "state": case and case.state.value,
            "seq": case.seq if case else 0,
            "meanwhile": [line_document(line) for line in outcome.events_since],
        }
        if outcome.may_see
        else {"refusal": result.refusal, "action_id": str(result.request_id)},
    )
