"""`/work` for leads, `/centre` for operators, and the route that their buttons post to."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse, RedirectResponse, Response

from lastmetre.common.categories import Categories
from lastmetre.common.contracts.cases import CaseReturned
from lastmetre.common.security.access import GuardedRoute, allow, person_of
from lastmetre.common.security.callers import Role
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.bodies import read_model
from lastmetre.common.web.forms import Form, grouped, read_form
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.languages import Language
from lastmetre.common.web.problems import Problem, field_errors
from lastmetre.common.web.wording import Wording
from lastmetre.common.web.words import N_
from lastmetre.dispatch.api import STAFF, ActionBody, refusal, requested, traceparent_of
from lastmetre.dispatch.case_service import CaseService, Outcome
from lastmetre.dispatch.domain.case import Case
from lastmetre.dispatch.domain.network import Network
from lastmetre.dispatch.store.ledger import LedgerLine
from lastmetre.dispatch.vault import VaultClient
from lastmetre.dispatch.web.sketch import case_map, lead_map

ACTION_BYTES: Final = 16 * 1024
ROWS: Final = 60
OPERATORS: Final = (Role.OPERATOR, Role.ADMINISTRATOR)
CENTRE: Final = (*OPERATORS, Role.SUPERVISOR)
CANDIDATES: Final = 3
MAP: Final = N_("Sketch of the area; its numbers match the list")
AROUND: Final = N_("Sketch of the place and the areas around it")

REFUSALS: Final = {
    "case_has_moved_on": N_("The case has moved on. Please look at it as it is now."),
    "not_allowed_in_state": N_("The case is no longer at that step."),
    "not_your_case": N_("The case is with somebody else now."),
    "already_rated": N_("That was rated already."),
    "area_without_lead": N_("Nobody answers for that area. Please choose another."),
    "area_missing": N_("Please choose an area."),
    "area_unknown": N_("That area is not there any more. Please choose another."),
    "reason_missing": N_("Please say why."),
    "happens_before_the_last_step": N_("Something happened with the case after that time."),
    "happened_too_long_ago": N_("That is too long ago to be reported now."),
}


class CasePages:
    """Renders the pages that a member of staff may see."""

    def __init__(
        self,
        host: ServiceHost,
        service: CaseService,
        vault: VaultClient,
        pages: Pages,
        categories: Categories,
    ) -> None:
        self._host = host
        self._service = service
        self._vault = vault
        self._pages = pages
        self._categories = categories

    async def rows(self, cases: Sequence[Case], language: str) -> list[dict[str, Any]]:
        """Cases with their words, as the templates show them."""
        texts = await self._vault.texts([case.report_id for case in cases])
        return [
            {
                "case": case,
                "category": getattr(self._categories.name(case.category), language),
                "said": texts.get(case.report_id),
            }
            for case in cases
        ]

    async def worklist(
        self, request: Request, outcome: Outcome | None = None, status: int = 200
    ) -> Response:
        """A lead's open cases, the longest waiting first."""
        person = person_of(request)
        language = self._pages.language_of(request)
        cases, total = await self._service.worklist(person.lead_id or "", ROWS)
        network = await self._service.network()
        mine = [
            area
            for area in network.areas.values()
            if area.lead and area.lead.lead_id == person.lead_id
        ]
        context = {
            "rows": await self.rows(cases, language),
            "total": total,
            "areas": mine,
            "lead": mine[0].lead if mine else None,
            "drawing": lead_map(
                network,
                mine,
                cases,
                language,
                self._pages.translations[language].gettext(MAP),
                self._pages.wordings[language].distance,
            ),
            "now": self._host.clock.now(),
            "notice": _notice(outcome),
        }
        return self._pages.render(request, "work.html", context, status)

    async def centre(
        self,
        request: Request,
        case_id: UUID | None = None,
        outcome: Outcome | None = None,
        status: int = 200,
    ) -> Response:
        """The queue of cases that no lead has, and one case: that, or the longest waiting."""
        language = self._pages.language_of(request)
        cases, total = await self._service.queue(ROWS)
        wanted = case_id or (cases[0].case_id if cases else None)
        found = await self._service.case(wanted) if wanted else None
        if case_id and found is None:
            raise Problem(404, "/problems/unknown-case", N_("There is no such case"))
        number = "" if case_id else request.query_params.get("number", "").strip()[:40]
        context = {
            "rows": await self.rows(cases, language),
            "total": total,
            "alone": case_id is not None,
            "operates": person_of(request).role in OPERATORS,
            "now": self._host.clock.now(),
            "notice": _notice(outcome),
            "number": number,
            "not_found": bool(number),
            "row": None,
        }
        if found:
            context |= await self._one(*found, language)
        return self._pages.render(request, "centre.html", context, status)

    async def _one(
        self, case: Case, ledger: Sequence[LedgerLine], language: Language
    ) -> dict[str, Any]:
        """A case with its ledger, its surroundings and what an operator can do about it."""
        network = await self._service.network()
        label = self._pages.translations[language].gettext(AROUND)
        wording = self._pages.wordings[language]
        return {
            "row": (await self.rows([case], language))[0],
            "ledger": ledger,
            "area": network.areas.get(case.area_id or ""),
            "here": network.locate([case.position])[0],
            "drawing": case_map(network, case, language, label, wording.distance),
            "candidates": await self._candidates(network, case),
            "gave_back": {line.actor_id for line in ledger if line.type == CaseReturned.TYPE},
            "areas": _choices(network, wording),
            "leads": {
                area.lead.lead_id: wording.own(area.lead.name)
                for area in network.areas.values()
                if area.lead
            },
        }

    async def _candidates(self, network: Network, case: Case) -> list[dict[str, Any]]:
        """Who could take a case with a position: the leads of the closest areas."""
        if case.position is None or not case.is_open:
            return []
        nearest = network.nearest(case.position, CANDIDATES)
        leads = [area.lead.lead_id for area, _ in nearest if area.lead]
        open_cases = await self._service.open_counts(leads)
        return [
            {"area": area, "metres": metres, "open": open_cases.get(area.lead.lead_id, 0)}
            for area, metres in nearest
            if area.lead and area.area_id != case.area_id
        ]

    async def after_action(self, request: Request, outcome: Outcome, back: str) -> Response:
        """Back to the page that the button was on; a refusal is shown there."""
        if outcome.result.refusal is None:
            return RedirectResponse(back, status_code=303)
        status = refusal(outcome).status
        if outcome.case is None:
            raise refusal(outcome)
        if back.startswith("/centre"):
            return await self.centre(request, outcome.case.case_id, outcome, status)
        return await self.worklist(request, outcome, status)


def _choices(network: Network, wording: Wording) -> list[tuple[str, list[tuple[str, str]]]]:
    """The areas that somebody answers for by their town, as (id, area · lead)."""
    return grouped(
        (
            wording.own(area.town) if area.town else "",
            wording.own(area.name) + wording.dot + wording.own(area.lead.name),
            area.area_id,
        )
        for area in network.areas.values()
        if area.lead
    )


def _notice(outcome: Outcome | None) -> Mapping[str, Any] | None:
    if outcome is None or outcome.result.refusal is None:
        return None
    return {
        "text": REFUSALS.get(outcome.result.refusal, N_("This was not done.")),
        "number": outcome.case.number if outcome.case and outcome.may_see else "",
        "meanwhile": outcome.events_since if outcome.may_see else (),
    }


def _body_of(form: Form) -> ActionBody:
    values = {
        name: form.value(name)
        for name in ("action", "action_id", "expected_seq", "area_id", "return_reason",
                     "cancel_reason")
        if form.value(name)
    }  # fmt: skip
    try:
        return ActionBody.model_validate(values)
    except ValidationError as error:
        raise Problem(
            422,
            "/problems/invalid",
            N_("Something in the request is not right"),
            extra={"errors": field_errors(error.errors(include_url=False))},
        ) from error


def _back(form: Form, role: Role, case_id: UUID) -> str:
    """Only to our own pages that this role may see, wherever the form says."""
    if role is Role.LEAD:
        return f"/work#case-{case_id}"
    if role in OPERATORS and form.value("back") == "/centre":
        return "/centre"
    return f"/centre/cases/{case_id}"


def pages_router(
    host: ServiceHost,
    service: CaseService,
    vault: VaultClient,
    pages: Pages,
    categories: Categories,
) -> APIRouter:
    """Routes of the pages."""
    router = APIRouter(route_class=GuardedRoute)
    views = CasePages(host, service, vault, pages, categories)

    @router.get("/work")
    @allow(Role.LEAD)
    async def work(request: Request) -> Response:
        return await views.worklist(request)

    @router.get("/centre")
    @allow(*OPERATORS)
    async def centre(request: Request) -> Response:
        number = request.query_params.get("number", "").strip()
        found = await service.case_numbered(number) if 0 < len(number) <= 40 else None
        if found:
            return RedirectResponse(f"/centre/cases/{found}", status_code=303)
        return await views.centre(request)

    @router.get("/centre/cases/{case_id}")
    @allow(*CENTRE)
    async def case(request: Request, case_id: UUID) -> Response:
        return await views.centre(request, case_id)

    router.include_router(_action_routes(host, service, views))
    return router


def _action_routes(host: ServiceHost, service: CaseService, views: CasePages) -> APIRouter:
    """Two, because the cookie of a page link holds for the first part of its path only."""
    router = APIRouter(route_class=GuardedRoute)

    @router.post("/work/cases/{case_id}/actions")
    @allow(*STAFF)
    async def execute(request: Request, case_id: UUID) -> Response:
        return await take(request, case_id)

    @router.post("/centre/cases/{case_id}/actions")
    @allow(*CENTRE)
    async def act_at_the_centre(request: Request, case_id: UUID) -> Response:
        return await take(request, case_id)

    # A refusal's page stands at these addresses: opened anew, perhaps in the other language.
    @router.get("/work/cases/{case_id}/actions")
    @allow(Role.LEAD)
    async def worklist_again(request: Request, case_id: UUID) -> Response:
        return RedirectResponse(f"/work?{request.url.query}#case-{case_id}", 303)

    @router.get("/centre/cases/{case_id}/actions")
    @allow(*CENTRE)
    async def case_again(request: Request, case_id: UUID) -> Response:
        return RedirectResponse(f"/centre/cases/{case_id}?{request.url.query}", 303)

    async def take(request: Request, case_id: UUID) -> Response:
        person = person_of(request)
        if not host.relay.has_room.is_set():
            raise Problem(
                503,
                "/problems/busy",
                N_("Not available for a moment"),
                headers={"Retry-After": "5"},
            )
        is_form = request.headers.get("content-type", "").startswith("application/x-www-form")
        if is_form:
            form = await read_form(request)
            body = _body_of(form)
        else:
            body = await read_model(request, ActionBody, ACTION_BYTES)
        outcome = await service.execute(
            requested(body, case_id, person, host), traceparent_of(request, host)
        )
        if is_form:
            return await views.after_action(request, outcome, _back(form, person.role, case_id))
        if outcome.result.refusal is not None or outcome.case is None:
            raise refusal(outcome)
        return JSONResponse(
            {
                "done": True,
                "action_id": str(outcome.result.request_id),
                "case_id": str(outcome.result.case_id),
                "state": outcome.case.state.value,
                "seq": outcome.result.seq,
            }
        )

    return router
