"""`/cases/{number}`: a case for all staff."""

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from lastmetre.common.security.access import CurrentPerson, allow
from lastmetre.common.security.callers import CENTRE, STAFF, Person, Role
from lastmetre.common.web.forms import LEADS_ON
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.openapi import REDIRECTS, page_router
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.application.execute_commands import Outcome
from lastmetre.dispatch.application.show_cases import ShowCases
from lastmetre.dispatch.application.who_may_see import may_see
from lastmetre.dispatch.entrypoints.web.case_view import CaseView
from lastmetre.dispatch.entrypoints.web.notices import notice_of


class CasePages:
    """Renders a case on a page of its own."""

    def __init__(self, service: CaseService, show: ShowCases, view: CaseView, pages: Pages) -> None:
        self._service = service
        self._show = show
        self._view = view
        self._pages = pages

    async def case(
        self,
        request: Request,
        person: Person,
        known_as: str,
        outcome: Outcome | None = None,
        status: int = 200,
        *,
        with_contact: bool = False,
    ) -> Response:
        """One case on a page of its own. `with_contact` shows the reporter's, which is logged."""
        found = await self._service.case_with_steps_known_as(known_as)
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
            context["contact"] = await self._show.contact(case, person)
        template = "case_for_lead.html" if person.role is Role.LEAD else "case.html"
        if with_contact and "hx-request" in request.headers:
            template = "_contact.html"
        response = self._pages.render(request, template, context, status)
        if with_contact:
            response.headers["Cache-Control"] = "no-store"
        return response


def case_router(views: CasePages) -> APIRouter:
    """Routes of the page. Its actions: `actions`."""
    router = page_router()

    @router.get("/centre/cases/{known_as}", dependencies=allow(*CENTRE), **REDIRECTS)
    async def as_it_was_called(known_as: str) -> Response:
        return RedirectResponse(f"/cases/{quote(known_as)}", 303)

    @router.get("/cases/{known_as}", dependencies=allow(*STAFF), responses=LEADS_ON)
    async def case_page(request: Request, person: CurrentPerson, known_as: str) -> Response:
        """One case; leads on to its number, if it is known as something else."""
        return await views.case(request, person, known_as)

    @router.post("/cases/{known_as}/contact", dependencies=allow(*STAFF))
    async def case_with_contact(request: Request, person: CurrentPerson, known_as: str) -> Response:
        return await views.case(request, person, known_as, with_contact=True)

    return router
