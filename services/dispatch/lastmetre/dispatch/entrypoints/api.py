"""HTTP in: actions on cases, a case by id, and the network of areas."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict

from lastmetre.common.contracts.base import Code
from lastmetre.common.contracts.cases import (
    LocalName,
    PublishedLead,
)
from lastmetre.common.outlines import BadOutline, read_outline
from lastmetre.common.security.access import CurrentPerson, GuardedRoute, ServiceKey, allow
from lastmetre.common.security.callers import CENTRE, STAFF, Role
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.dispatch.application.act_on_case import ActOnCase, StaffAction
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.application.execute_commands import Outcome
from lastmetre.dispatch.domain.ledger import LedgerLine
from lastmetre.dispatch.domain.network import Area

ACTION_BYTES: Final = 16 * 1024
NETWORK_BYTES: Final = 64 * 1024 * 1024
STATUS_OF_REFUSAL: Final = {
    "unknown_case": 404,
    "not_your_case": 403,
    "not_allowed_for_role": 403,
    "reason_missing": 422,
    "category_missing": 422,
    "category_unknown": 422,
    "position_missing": 422,
    "accuracy_missing": 422,
    "nothing_changes": 422,
    "into_case_missing": 422,
    "into_case_unknown": 422,
    "into_case_is_the_same": 422,
    "report_missing": 422,
    "report_not_joined": 422,
    "area_missing": 422,
    "area_unknown": 422,
    "expected_seq_missing": 422,
    "happens_in_the_future": 422,
    "happens_before_the_last_step": 422,
    "happened_too_long_ago": 422,
}


class ActionBody(StaffAction):
    """What a caller sends to act on a case. `action_id` makes it safe to send again."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


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


class LedgerEntry(BaseModel):
    """An entry of a case's ledger."""

    seq: int
    type: str
    occurred_at: datetime
    recorded_at: datetime
    actor_role: str
    actor_id: str | None


class CaseDocument(BaseModel):
    """A case with its whole ledger."""

    case_id: UUID
    number: str
    report_id: UUID
    """The one that it was made of; all of them are `report_ids`."""
    report_ids: list[UUID]
    state: str
    seq: int
    area_id: str | None
    lead_id: str | None
    unplaced_reason: str | None
    ledger: list[LedgerEntry]


class ActionDone(BaseModel):
    """An action that was done: the case's state, and the `seq` of the action's last event."""

    done: Literal[True] = True
    action_id: UUID
    case_id: UUID
    state: str
    seq: int


class AreaListed(BaseModel):
    """An area without its outline."""

    area_id: str
    name: LocalName
    lead: PublishedLead | None


class NetworkListed(BaseModel):
    """The network that decides now."""

    version: int
    areas: list[AreaListed]


class NetworkReplaced(BaseModel):
    """What an import changed, or would have changed."""

    added: int
    changed: int
    removed: int
    open_cases_left: dict[str, int]
    """By lead: open cases that stay with him though he has no area any more."""
    version: int
    dry_run: bool


def api_router(service: CaseService, act: ActOnCase) -> APIRouter:
    """The JSON API of dispatch."""
    router = APIRouter(route_class=GuardedRoute)

    @router.get(
        "/api/dispatch/v1/cases/{known_as}",
        dependencies=allow(*CENTRE, ServiceKey("intake", "metrics")),
        tags=["cases"],
    )
    async def read_case(known_as: str) -> CaseDocument:
        """By id or by the number for people."""
        case_id = await service.case_known_as(known_as)
        found = None if case_id is None else await service.case(case_id)
        if found is None:
            raise Problem(404, "/problems/unknown-case", N_("There is no such case"))
        known, lines = found
        return CaseDocument(
            case_id=known.case_id,
            number=known.number,
            report_id=known.report_id,
            report_ids=list(known.report_ids),
            state=known.state.value,
            seq=known.seq,
            area_id=known.area_id,
            lead_id=known.lead_id,
            unplaced_reason=known.unplaced_reason,
            ledger=[ledger_entry(line) for line in lines],
        )

    @router.post(
        "/api/dispatch/v1/cases/{known_as}/actions",
        dependencies=allow(*STAFF),
        max_body_size=ACTION_BYTES,
        tags=["cases"],
    )
    async def act_on_case(
        known_as: str,
        body: ActionBody,
        person: CurrentPerson,
        traceparent: Annotated[str | None, Header()] = None,
    ) -> ActionDone:
        """Accept, arrive, resolve, return, place, cancel, reopen, correct, note, merge, split.

        Sent again, it counts once.
        """
        return action_done(await act(body, known_as, person, traceparent))

    @router.get("/network", dependencies=allow(*STAFF), tags=["network"])
    async def read_network() -> NetworkListed:
        """Areas and their leads, without outlines."""
        current = await service.network()
        return NetworkListed(
            version=current.version,
            areas=[
                AreaListed(area_id=area.area_id, name=area.name, lead=area.lead)
                for area in current.areas.values()
            ],
        )

    @router.put(
        "/network",
        dependencies=allow(Role.ADMINISTRATOR),
        max_body_size=NETWORK_BYTES,
        tags=["network"],
    )
    async def replace_network(body: NetworkBody) -> NetworkReplaced:
        """Replace the whole network."""
        # A whole city's outlines take seconds to be looked at: others are answered meanwhile.
        areas = await asyncio.to_thread(lambda: [checked_area(each) for each in body.areas])
        published = await service.publish(areas, dry_run=body.dry_run)
        return NetworkReplaced(
            added=published.added,
            changed=published.changed,
            removed=published.removed,
            open_cases_left=dict(published.open_cases_left),
            version=(await service.network()).version,
            dry_run=body.dry_run,
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


def ledger_entry(line: LedgerLine) -> LedgerEntry:
    """An entry of the ledger as it is answered."""
    return LedgerEntry.model_validate(line._asdict())


def action_done(outcome: Outcome) -> ActionDone:
    """What is answered to an action that was decided. Raises Problem for a refusal."""
    if outcome.result.refusal is not None or outcome.case is None:
        raise refusal(outcome)
    return ActionDone(
        action_id=outcome.result.request_id,
        case_id=outcome.result.case_id,
        state=outcome.case.state.value,
        seq=outcome.result.seq,
    )


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
            "meanwhile": [
                ledger_entry(line).model_dump(mode="json") for line in outcome.events_since
            ],
        }
        if outcome.may_see
        else {"refusal": result.refusal, "action_id": str(result.request_id)},
    )
