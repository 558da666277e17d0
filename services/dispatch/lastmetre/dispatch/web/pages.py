"""`/work` for leads, `/centre` for operators, `/cases/{number}` for all staff."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from lastmetre.common.contracts.case_model import Case
from lastmetre.common.security.access import GuardedRoute, allow, person_of
from lastmetre.common.security.callers import Role
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.dispatch.adapters.postgres.ledger import Step
from lastmetre.dispatch.api import STAFF
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.application.execute_commands import Outcome
from lastmetre.dispatch.web.case_view import CENTRE, OPERATORS, CaseView, may_see, may_see_contact
from lastmetre.dispatch.web.sketch import lead_map

ROWS: Final = 60
MAP: Final = N_("Sketch of the area; its numbers match the list")

REFUSALS: Final = {
    "case_has_moved_on": N_("The case has moved on. Please look at it as it is now."),
    "not_allowed_in_state": N_("The case is no longer at that step."),
    "not_your_case": N_("The case is with somebody else now."),
    "already_rated": N_("That was rated already."),
    "area_without_lead": N_("Nobody answers for that area. Please choose another."),
    "area_missing": N_("Please choose an area."),
    "area_unknown": N_("That area is not there any more. Please choose another."),
    "reason_missing": N_("Please say why."),
}


class StaffPages:
    """Renders the pages that a member of staff may see."""

    def __init__(
        self, host: ServiceHost, service: CaseService, view: CaseView, pages: Pages
    ) -> None:
        self._host = host
        self._service = service
        self._view = view
        self._pages = pages

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
            "rows": await self._view.rows(cases, language),
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
            "notice": notice_of(outcome),
        }
        return self._pages.render(request, "work.html", context, status)

    async def centre(
        self,
        request: Request,
        base: str,
        number: str | None = None,
        outcome: Outcome | None = None,
        status: int = 200,
    ) -> Response:
        """The queue of cases that no lead has, and one case: that, or the longest waiting."""
        person = person_of(request)
        language = self._pages.language_of(request)
        cases, total = await self._service.queue(ROWS)
        wanted = number or (cases[0].number if cases else None)
        found = await self._found(wanted) if wanted else None
        context = {
            "rows": await self._view.rows(cases, language),
            "total": total,
            "role": person.role.value,
            "now": self._host.clock.now(),
            "notice": notice_of(outcome),
            "number": "" if found else number or "",
            "not_found": number is not None and found is None,
            "row": None,
            "base": base,
            "chosen": found is not None and number is not None,
        }
        if found:
            context |= await self._view.one(*found, person, language)
        return self._pages.render(request, "centre.html", context, status)

    async def case(
        self,
        request: Request,
        known_as: str,
        outcome: Outcome | None = None,
        status: int = 200,
        *,
        with_contact: bool = False,
    ) -> Response:
        """One case on a page of its own. `with_contact` shows the reporter's, which is logged."""
        person = person_of(request)
        found = await self._found(known_as)
        if found is None:
            raise Problem(404, "/problems/unknown-case", N_("There is no such case"))
        case, steps = found
        if request.method == "GET" and known_as != case.number:
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"/cases/{case.number}{query}", 303)
        if not may_see(steps, person):
            raise Problem(
                403,
                "/problems/not-your-case",
                N_("This case is not yours"),
                N_("A lead sees the cases that he has or has had."),
            )
        context = await self._view.one(case, steps, person, self._pages.language_of(request))
        context |= {"notice": notice_of(outcome), "base": "", "number": ""}
        if with_contact:
            if not may_see_contact(case, person):
                raise Problem(403, "/problems/not-allowed", N_("This is not open to you"))
            context["contact"] = await self._view.contact(case, person)
        template = "case_for_lead.html" if person.role is Role.LEAD else "case.html"
        if with_contact and "hx-request" in request.headers:
            template = "_contact.html"
        response = self._pages.render(request, template, context, status)
        if with_contact:
            response.headers["Cache-Control"] = "no-store"
        return response

    async def _found(self, known_as: str) -> tuple[Case, list[Step]] | None:
        case_id = await self._service.case_known_as(known_as)
        return None if case_id is None else await self._service.case_with_steps(case_id)


def notice_of(outcome: Outcome | None) -> Mapping[str, Any] | None:
    """Why an action was refused, for the page that its button was on."""
    if outcome is None or outcome.result.refusal is None:
        return None
    return {
        "text": REFUSALS.get(outcome.result.refusal, N_("This was not done.")),
        "number": outcome.case.number if outcome.case else "",
        "meanwhile": outcome.events_since,
    }


def asked_for(request: Request) -> str | None:
    """The number that was typed, or of the case that was chosen in the list."""
    typed = request.query_params.get("number", "").strip()[:40]
    return typed or request.query_params.get("case")


def pages_router(service: CaseService, views: StaffPages) -> APIRouter:
    """Routes of the pages. Their actions: `actions`."""
    router = APIRouter(route_class=GuardedRoute)

    @router.get("/work")
    @allow(Role.LEAD)
    async def work(request: Request) -> Response:
        return await views.worklist(request)

    @router.get("/centre")
    @allow(*OPERATORS)
    async def centre(request: Request) -> Response:
        return await views.centre(request, "/centre", asked_for(request))

    @router.get("/cases")
    @allow(*CENTRE)
    async def cases(request: Request) -> Response:
        return await views.centre(request, "/cases", asked_for(request))

    @router.get("/centre/cases/{case_id}")
    @allow(*CENTRE)
    async def case_by_id(case_id: UUID) -> Response:
        found = await service.case(case_id)
        if found is None:
            raise Problem(404, "/problems/unknown-case", N_("There is no such case"))
        return RedirectResponse(f"/cases/{found[0].number}", 303)

    @router.get("/cases/{known_as}")
    @allow(*STAFF)
    async def case(request: Request, known_as: str) -> Response:
        return await views.case(request, known_as)

    @router.post("/cases/{known_as}/contact")
    @allow(*STAFF)
    async def contact(request: Request, known_as: str) -> Response:
        return await views.case(request, known_as, with_contact=True)

    return router
