"""What the pages' buttons post to, and programs: a step of a case, and taking one back."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse, RedirectResponse, Response

from lastmetre.common.contracts.cases import CaseState
from lastmetre.common.contracts.requests import Action
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
from lastmetre.dispatch.application.hold_actions import Answer, HoldActions
from lastmetre.dispatch.web.case_page import CasePages
from lastmetre.dispatch.web.case_view import OPERATORS
from lastmetre.dispatch.web.centre import CentrePages, ListQuery
from lastmetre.dispatch.web.worklist import Worklist

ACTION_BYTES: Final = 16 * 1024
FIELDS: Final = (
    "action", "action_id", "expected_seq", "area_id", "return_reason", "cancel_reason",
)  # fmt: skip
STATES_AFTER: Final = {
    Action.ACCEPT.value: (CaseState.ACCEPTED, CaseState.ON_SITE),
    Action.ARRIVE.value: (CaseState.ON_SITE,),
}
"""Those of a case that has the step behind it, with the lead who took it."""
WHOLE_LIST: Final = ListQuery()


class Actions:
    """Takes a step that a page or a program asks for, and answers each in its way."""

    def __init__(
        self,
        host: ServiceHost,
        service: CaseService,
        hold: HoldActions,
        centre: CentrePages,
        worklist: Worklist,
        pages: CasePages,
    ) -> None:
        self._host = host
        self._service = service
        self._hold = hold
        self._centre = centre
        self._worklist = worklist
        self._pages = pages

    async def take(self, request: Request, known_as: str, *, hold: bool = False) -> Response:
        """A form's step may be taken back for a while, and leads back to its page; a program's is
        decided at once unless it asks to `hold` it, and answered as JSON. Raises Problem."""
        if not self._host.relay.has_room.is_set():
            raise Problem(
                503,
                "/problems/busy",
                N_("Not available for a moment"),
                headers={"Retry-After": "5"},
            )
        case_id = await self._service.case_known_as(known_as)
        if case_id is None:
            raise Problem(404, "/problems/unknown-case", N_("There is no such case"))
        person, trace = person_of(request), traceparent_of(request, self._host)
        if request.headers.get("content-type", "").startswith("application/x-www-form"):
            form = await read_form(request)
            asked = requested(_body_of(form), case_id, person, self._host)
            return await self._page_after(request, form, await self._hold(asked, trace))
        body = await read_model(request, ActionBody, ACTION_BYTES)
        asked = requested(body, case_id, person, self._host)
        answer = (
            await self._hold(asked, trace)
            if hold
            else Answer(outcome=await self._service.execute(asked, trace))
        )
        return _document(answer)

    async def _page_after(self, request: Request, form: Form, answer: Answer) -> Response:
        """Back to the page of the button, or to the next case; a refusal is shown there."""
        outcome = answer.outcome
        if outcome is not None and outcome.result.refusal is not None:
            return await self._refused(request, outcome)
        _, base = _page(request)
        if "hx-request" in request.headers:
            following = form.value("next") or None
            return await self._centre.panes(request, base, following, told=answer.held)
        return RedirectResponse(_back(request), 303)

    async def _refused(self, request: Request, outcome: Outcome) -> Response:
        if outcome.case is None:
            raise refusal(outcome)
        page, base = _page(request)
        number, status = outcome.case.number, refusal(outcome).status
        if "hx-request" in request.headers:
            status = status if status == 422 else 409
            return await self._centre.panes(request, base, number, outcome=outcome, status=status)
        if _is_so_already(outcome):
            return RedirectResponse(_back(request), 303)
        if page == "/work":
            return await self._worklist.page(request, outcome, status)
        if page == "/centre":
            return await self._centre.page(request, base, WHOLE_LIST, number, outcome, status)
        return await self._pages.case(request, number, outcome, status)

    async def take_back(self, request: Request, action_id: UUID) -> Response:
        """Forget a step that is not decided yet. Raises Problem 410 if it is, or is another's."""
        held = await self._hold.take_back(action_id, _actor(request))
        if held is None:
            raise Problem(410, "/problems/done-already", N_("It is done already"))
        page, base = _page(request)
        if "hx-request" in request.headers:
            return await self._centre.panes(request, base, held.number, taken_back=True)
        return RedirectResponse(page if page != "/cases" else f"/cases/{held.number}", 303)

    async def seen(self, request: Request, action_id: UUID) -> Response:
        """The actor knows that his step was refused when it was due."""
        await self._hold.seen(action_id, _actor(request))
        page, base = _page(request)
        if "hx-request" in request.headers:
            return await self._centre.list(request, base, WHOLE_LIST)
        return RedirectResponse(page, 303)


def _document(answer: Answer) -> Response:
    """What a program is told. Raises Problem for a refusal."""
    held, outcome = answer.held, answer.outcome
    if outcome is None:
        assert held is not None
        waits = {"done": False, "action_id": str(held.action_id), "due_at": held.due_at.isoformat()}
        return JSONResponse(waits, 202)
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


def _page(request: Request) -> tuple[str, str]:
    """The page that the button was on, and that of the list beside it."""
    page = "/" + request.url.path.split("/", 2)[1]
    return page, "/centre" if page == "/centre" else "/cases"


def _back(request: Request) -> str:
    """The page that the button was on."""
    page, _ = _page(request)
    return page if page != "/cases" else request.url.path.removesuffix("/actions")


def _is_so_already(outcome: Outcome) -> bool:
    """Whether what a lead asked for is what the case is like: a second tab, or a second tap."""
    case, wanted = outcome.case, STATES_AFTER.get(outcome.result.kind, ())
    known = outcome.result.refusal in ("case_has_moved_on", "not_allowed_in_state")
    return known and case is not None and case.state in wanted


def _actor(request: Request) -> str:
    person = person_of(request)
    return person.lead_id or person.subject


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
    async def from_worklist(request: Request, case_id: UUID, hold: bool = False) -> Response:
        return await actions.take(request, str(case_id), hold=hold)

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
    async def from_case(request: Request, known_as: str, hold: bool = False) -> Response:
        return await actions.take(request, known_as, hold=hold)

    @router.get("/cases/{known_as}/actions")
    @allow(*STAFF)
    async def case_again(request: Request, known_as: str) -> Response:
        return RedirectResponse(f"/cases/{known_as}?{request.url.query}", 303)

    for page, roles in (("/work", (Role.LEAD,)), ("/centre", OPERATORS), ("/cases", STAFF)):
        router.include_router(_held_router(actions, roles), prefix=page)
    return router


def _held_router(actions: Actions, roles: Sequence[Role]) -> APIRouter:
    """What can be done about steps that are not decided yet, or were refused."""
    router = APIRouter(route_class=GuardedRoute)

    @router.post("/held/{action_id}")
    @allow(*roles)
    async def take_back(request: Request, action_id: UUID) -> Response:
        return await actions.take_back(request, action_id)

    @router.post("/refused/{action_id}")
    @allow(*roles)
    async def seen(request: Request, action_id: UUID) -> Response:
        return await actions.seen(request, action_id)

    return router
