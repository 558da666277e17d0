"""What the pages' buttons post to, and programs: a step of a case."""

from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse, RedirectResponse, Response

from lastmetre.common.security.access import GuardedRoute, allow, person_of
from lastmetre.common.security.callers import Role
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.bodies import read_model
from lastmetre.common.web.forms import Form, read_form
from lastmetre.common.web.problems import Problem, field_errors
from lastmetre.common.web.words import N_
from lastmetre.dispatch.api import STAFF, ActionBody, refusal, requested, traceparent_of
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.application.execute_commands import Outcome
from lastmetre.dispatch.web.case_view import OPERATORS
from lastmetre.dispatch.web.pages import StaffPages

ACTION_BYTES: Final = 16 * 1024
FIELDS: Final = (
    "action", "action_id", "expected_seq", "area_id", "return_reason", "cancel_reason",
)  # fmt: skip


class Actions:
    """Takes a step that a page or a program asks for, and answers each in its way."""

    def __init__(self, host: ServiceHost, service: CaseService, views: StaffPages) -> None:
        self._host = host
        self._service = service
        self._views = views

    async def take(self, request: Request, known_as: str) -> Response:
        """Decide; a form leads back to its page, a program gets JSON. Raises Problem."""
        if not self._host.relay.has_room.is_set():
            raise Problem(
                503,
                "/problems/busy",
                N_("Not available for a moment"),
                headers={"Retry-After": "5"},
            )
        if request.headers.get("content-type", "").startswith("application/x-www-form"):
            outcome = await self._execute(request, known_as, _body_of(await read_form(request)))
            return await self._page_after(request, outcome)
        body = await read_model(request, ActionBody, ACTION_BYTES)
        outcome = await self._execute(request, known_as, body)
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

    async def _execute(self, request: Request, known_as: str, body: ActionBody) -> Outcome:
        case_id = await self._service.case_known_as(known_as)
        if case_id is None:
            raise Problem(404, "/problems/unknown-case", N_("There is no such case"))
        asked = requested(body, case_id, person_of(request), self._host)
        return await self._service.execute(asked, traceparent_of(request, self._host))

    async def _page_after(self, request: Request, outcome: Outcome) -> Response:
        """Back to the page that the button was on; a refusal is shown there."""
        case = outcome.case
        if case is None:
            raise refusal(outcome)
        page = request.url.path.split("/", 2)[1]
        if outcome.result.refusal is None:
            back = {"work": "/work", "centre": "/centre"}.get(page, f"/cases/{case.number}")
            return RedirectResponse(back, status_code=303)
        status = refusal(outcome).status
        if page == "work":
            return await self._views.worklist(request, outcome, status)
        if page == "centre":
            return await self._views.centre(request, "/centre", case.number, outcome, status)
        return await self._views.case(request, case.number, outcome, status)


def _body_of(form: Form) -> ActionBody:
    values = {name: form.value(name) for name in FIELDS if form.value(name)}
    try:
        return ActionBody.model_validate(values)
    except ValidationError as error:
        raise Problem(
            422,
            "/problems/invalid",
            N_("Something in the request is not right"),
            extra={"errors": field_errors(error.errors(include_url=False))},
        ) from error


def actions_router(actions: Actions) -> APIRouter:
    """One for each page: the cookie of a page link holds for the first part of its path only.

    A refusal's page stands at these addresses: opened anew, they lead to the page.
    """
    router = APIRouter(route_class=GuardedRoute)

    @router.post("/work/cases/{case_id}/actions")
    @allow(*STAFF)
    async def from_worklist(request: Request, case_id: UUID) -> Response:
        return await actions.take(request, str(case_id))

    @router.get("/work/cases/{case_id}/actions")
    @allow(Role.LEAD)
    async def worklist_again(request: Request, case_id: UUID) -> Response:
        return RedirectResponse(f"/work?{request.url.query}#case-{case_id}", 303)

    @router.post("/centre/cases/{case_id}/actions")
    @allow(*OPERATORS)
    async def from_centre(request: Request, case_id: UUID) -> Response:
        return await actions.take(request, str(case_id))

    @router.get("/centre/cases/{case_id}/actions")
    @allow(*OPERATORS)
    async def centre_again(request: Request, case_id: UUID) -> Response:
        return RedirectResponse(f"/centre?{request.url.query}", 303)

    @router.post("/cases/{known_as}/actions")
    @allow(*STAFF)
    async def from_case(request: Request, known_as: str) -> Response:
        return await actions.take(request, known_as)

    @router.get("/cases/{known_as}/actions")
    @allow(*STAFF)
    async def case_again(request: Request, known_as: str) -> Response:
        return RedirectResponse(f"/cases/{known_as}?{request.url.query}", 303)

    return router
