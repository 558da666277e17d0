"""What the pages' buttons post to, and programs: a step of a case, and taking one back."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from fastapi import Form as FormBody
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, RedirectResponse

from lastmetre.common.contracts.cases import CaseState
from lastmetre.common.contracts.requests import Action
from lastmetre.common.security.access import CurrentPerson, allow
from lastmetre.common.security.callers import OPERATORS, STAFF, Person, Role
from lastmetre.common.web.openapi import REDIRECTS, page_router
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.dispatch.application.act_on_case import ActOnCase, StaffAction
from lastmetre.dispatch.application.execute_commands import Outcome
from lastmetre.dispatch.application.hold_actions import Answer, HoldActions
from lastmetre.dispatch.entrypoints.api import (
    ACTION_BYTES,
    ActionBody,
    ActionDone,
    action_done,
    refusal,
)
from lastmetre.dispatch.entrypoints.web.case_page import CasePages
from lastmetre.dispatch.entrypoints.web.centre import CentrePages, ListQuery
from lastmetre.dispatch.entrypoints.web.worklist import Worklist

PARTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The part of the page that changes", "content": {"text/html": {}}}
}
STATES_AFTER: Final = {
    Action.ACCEPT.value: (CaseState.ACCEPTED, CaseState.ON_SITE),
    Action.ARRIVE.value: (CaseState.ON_SITE,),
}
"""Those of a case that has the step behind it, with the lead who took it."""
WHOLE_LIST: Final = ListQuery()


class ActionForm(StaffAction):
    """The fields of a page's button; `next` is the case that follows in the list."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    next: str | None = None


class ActionWaits(BaseModel):
    """A step that can be taken back until it is due."""

    done: Literal[False] = False
    action_id: UUID
    due_at: datetime


class Actions:
    """Takes a step that a page asks for, which may be taken back for a while."""

    def __init__(
        self,
        act: ActOnCase,
        hold: HoldActions,
        centre: CentrePages,
        worklist: Worklist,
        pages: CasePages,
    ) -> None:
        self._act = act
        self._hold = hold
        self._centre = centre
        self._worklist = worklist
        self._pages = pages

    async def take(
        self,
        request: Request,
        person: Person,
        known_as: str,
        form: ActionForm,
        traceparent: str | None,
    ) -> Response:
        """Leads back to the page of the button, or to the next case; a refusal is shown there.

        Raises Problem.
        """
        answer = await self._act.or_hold(form, known_as, person, traceparent)
        outcome = answer.outcome
        if outcome is not None and outcome.result.refusal is not None:
            return await self._refused(request, person, outcome)
        _, base = _page(request)
        if "hx-request" in request.headers:
            return await self._centre.panes(request, person, base, form.next, told=answer.held)
        return RedirectResponse(_back(request), 303)

    async def _refused(self, request: Request, person: Person, outcome: Outcome) -> Response:
        if outcome.case is None:
            raise refusal(outcome)
        page, base = _page(request)
        number, status = outcome.case.number, refusal(outcome).status
        if "hx-request" in request.headers:
            status = status if status == 422 else 409
            return await self._centre.panes(
                request, person, base, number, outcome=outcome, status=status
            )
        if _is_so_already(outcome):
            return RedirectResponse(_back(request), 303)
        if page == "/work":
            return await self._worklist.page(request, person, outcome, status)
        if page == "/centre":
            return await self._centre.page(
                request, person, base, WHOLE_LIST, number, outcome, status
            )
        return await self._pages.case(request, person, number, outcome, status)

    async def take_back(self, request: Request, person: Person, action_id: UUID) -> Response:
        """Forget a step that is not decided yet. Raises Problem 410 if it is, or is another's."""
        held = await self._hold.take_back(action_id, _actor(person))
        if held is None:
            raise Problem(410, "/problems/done-already", N_("It is done already"))
        page, base = _page(request)
        if "hx-request" in request.headers:
            return await self._centre.panes(request, person, base, held.number, taken_back=True)
        return RedirectResponse(page if page != "/cases" else f"/cases/{held.number}", 303)

    async def seen(self, request: Request, person: Person, action_id: UUID) -> Response:
        """The actor knows that his step was refused when it was due."""
        await self._hold.seen(action_id, _actor(person))
        page, base = _page(request)
        if "hx-request" in request.headers:
            return await self._centre.list(request, person, base, WHOLE_LIST)
        return RedirectResponse(page, 303)


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


def _actor(person: Person) -> str:
    return person.lead_id or person.subject


def _held_or_done(answer: Answer, response: Response) -> ActionDone | ActionWaits:
    """What a program is told. Raises Problem for a refusal."""
    held, outcome = answer.held, answer.outcome
    if outcome is not None:
        return action_done(outcome)
    assert held is not None
    response.status_code = 202
    return ActionWaits(action_id=held.action_id, due_at=held.due_at)


def actions_router(act: ActOnCase, actions: Actions) -> APIRouter:
    """One for each page: the cookie of a page link holds for the first part of its path only.

    A refusal's page stands at these addresses: opened anew, they lead to the page.
    """
    router = page_router()

    async def press(
        request: Request,
        person: CurrentPerson,
        known_as: str,
        form: Annotated[ActionForm, FormBody()],
        traceparent: Annotated[str | None, Header()] = None,
    ) -> Response:
        """What a button of a page asks for; leads back to the page."""
        return await actions.take(request, person, known_as, form, traceparent)

    async def hold(
        known_as: str,
        body: ActionBody,
        person: CurrentPerson,
        response: Response,
        traceparent: Annotated[str | None, Header()] = None,
    ) -> ActionDone | ActionWaits:
        """A step that a page has kept while there was no connection."""
        answer = await act.or_hold(body, known_as, person, traceparent)
        return _held_or_done(answer, response)

    async def page_again(request: Request, known_as: str) -> Response:
        """Leads to the page that the button was on."""
        row = f"#case-{known_as}" if _page(request)[0] == "/work" else ""
        return RedirectResponse(f"{_back(request)}?{request.url.query}{row}", 303)

    for start, rules, readers in (
        ("/work", STAFF, (Role.LEAD,)), ("/centre", OPERATORS, OPERATORS), ("", STAFF, STAFF),
    ):  # fmt: skip
        path, name = f"{start}/cases/{{known_as}}/actions", start[1:] or "case"
        router.add_api_route(
            path, page_again, methods=["GET"], name=f"{name}_again", dependencies=allow(*readers),
            **REDIRECTS,
        )  # fmt: skip
        router.add_api_route(
            path, press, methods=["POST"], name=f"act_from_{name}", dependencies=allow(*rules),
            max_body_size=ACTION_BYTES, **REDIRECTS,
            responses=PARTS,
        )  # fmt: skip
        router.add_api_route(
            f"{path}/held", hold, methods=["POST"], name=f"hold_from_{name}",
            dependencies=allow(*rules), max_body_size=ACTION_BYTES, response_class=JSONResponse,
            responses={202: {"model": ActionWaits, "description": "It can be taken back"}},
        )  # fmt: skip

    for page, roles in (("work", (Role.LEAD,)), ("centre", OPERATORS), ("cases", STAFF)):
        _held_routes(router, actions, page, roles)
    return router


def _held_routes(router: APIRouter, actions: Actions, page: str, roles: Iterable[Role]) -> None:
    """What can be done about steps that are not decided yet, or were refused."""

    @router.post(
        f"/{page}/held/{{action_id}}", name=f"take_back_from_{page}", dependencies=allow(*roles),
        **REDIRECTS, responses=PARTS,
    )  # fmt: skip
    async def take_back(request: Request, person: CurrentPerson, action_id: UUID) -> Response:
        """Forget a step that is not decided yet."""
        return await actions.take_back(request, person, action_id)

    @router.post(
        f"/{page}/refused/{{action_id}}", name=f"seen_from_{page}", dependencies=allow(*roles),
        **REDIRECTS, responses=PARTS,
    )  # fmt: skip
    async def seen(request: Request, person: CurrentPerson, action_id: UUID) -> Response:
        """The actor knows that his step was refused."""
        return await actions.seen(request, person, action_id)
