"""Routes of the command centre's list, and of what changes on it."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.sse import ServerSentEvent
from starlette.responses import Response

from lastmetre.common.security.access import CurrentPerson, allow
from lastmetre.common.security.callers import CENTRE, OPERATORS, Role
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.live_events import EVENTS
from lastmetre.common.web.openapi import page_router
from lastmetre.dispatch.entrypoints.web.centre import CentrePages, ListQuery
from lastmetre.dispatch.entrypoints.web.live import LiveEvents

Asked = Annotated[ListQuery, Query()]


def centre_router(centre: CentrePages, live: LiveEvents, pages: Pages) -> APIRouter:
    """The same under both addresses: operators act beside their list, others look."""
    router = APIRouter()
    for base, roles in (("/centre", OPERATORS), ("/cases", CENTRE)):
        router.include_router(_router(base, roles, centre, live, pages))
    return router


def _router(
    base: str, roles: Sequence[Role], centre: CentrePages, live: LiveEvents, pages: Pages
) -> APIRouter:
    router = page_router(base)

    name = base[1:]

    @router.get("", name=f"{name}_page", dependencies=allow(*roles))
    async def page(request: Request, person: CurrentPerson, asked: Asked) -> Response:
        return await centre.page(request, person, base, asked)

    @router.get("/list", name=f"{name}_list", dependencies=allow(*roles))
    async def list_of_cases(request: Request, person: CurrentPerson, asked: Asked) -> Response:
        return await centre.list(request, person, base, asked)

    @router.get("/{known_as}/panes", name=f"{name}_panes", dependencies=allow(*roles))
    async def panes(request: Request, person: CurrentPerson, known_as: str) -> Response:
        return await centre.panes(request, person, base, known_as)

    @router.get("/events", dependencies=allow(*roles), **EVENTS)
    async def events(request: Request, asked: Asked) -> AsyncIterator[ServerSentEvent]:
        translations = pages.translations[pages.language_of(request)]
        async for event in live.of_centre(request, asked, translations):
            yield event

    return router
