"""Two cases side by side, before the one is joined to the other."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from lastmetre.common.contracts.case_model import Case
from lastmetre.common.security.access import CurrentPerson, allow
from lastmetre.common.security.callers import OPERATORS, Person
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.openapi import page_router
from lastmetre.common.web.problem import Problem
from lastmetre.common.web.words import N_
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.application.likely_cases import LikelyCases
from lastmetre.dispatch.entrypoints.web.case_view import CaseView


class JoinPages:
    """Renders them."""

    def __init__(
        self,
        host: ServiceHost,
        service: CaseService,
        view: CaseView,
        likely: LikelyCases,
        pages: Pages,
    ) -> None:
        self._host = host
        self._service = service
        self._view = view
        self._likely = likely
        self._pages = pages

    async def page(self, request: Request, person: Person, known_as: str, other: str) -> Response:
        """`other` as it was typed; empty: it is still to be typed. Raises Problem 404."""
        case = await self._case(known_as)
        if case is None:
            raise Problem(404, "/problems/unknown-case", N_("There is no such case"))
        into = await self._case(other) if other else None
        language = self._pages.language_of(request)
        cases = [case] if into is None or into == case else [case, into]
        rows = await self._view.rows(cases, language)
        context: dict[str, Any] = {
            "now": self._host.clock.now(),
            "role": person.role.value,
            "typed": other,
            "number": "",
            "unknown": bool(other) and into is None,
            "same_case": into == case,
            "row": rows[0],
            "other": rows[1] if len(rows) > 1 else None,
            "between": await self._likely.between(case, into) if into and into != case else None,
        }
        status = 404 if context["unknown"] else 200
        return self._pages.render(request, "join.html", context, status)

    async def _case(self, known_as: str) -> Case | None:
        found = await self._service.case_with_steps_known_as(known_as)
        return found[0] if found else None


def join_router(views: JoinPages) -> APIRouter:
    """The page alone: what it asks for are actions of the case (`actions`)."""
    router = page_router()

    @router.get("/cases/{known_as}/join", dependencies=allow(*OPERATORS))
    async def join_page(
        request: Request,
        person: CurrentPerson,
        known_as: str,
        other: Annotated[str, Query(max_length=40)] = "",
    ) -> Response:
        """This case beside another, which its reports are to join."""
        return await views.page(request, person, known_as, other.strip())

    return router
