"""Routes of the worklist, and of what changes on it."""

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.sse import ServerSentEvent
from starlette.responses import Response

from lastmetre.common.security.access import CurrentPerson, allow
from lastmetre.common.security.callers import Role
from lastmetre.common.web.live_events import EVENTS
from lastmetre.common.web.openapi import page_router
from lastmetre.dispatch.entrypoints.web.live import LiveEvents
from lastmetre.dispatch.entrypoints.web.worklist import Worklist


def worklist_router(worklist: Worklist, live: LiveEvents) -> APIRouter:
    """For leads alone."""
    router = page_router("/work")

    @router.get("", dependencies=allow(Role.LEAD))
    async def worklist_page(request: Request, person: CurrentPerson) -> Response:
        return await worklist.page(request, person)

    @router.get("/rows", dependencies=allow(Role.LEAD))
    async def worklist_rows(request: Request, person: CurrentPerson) -> Response:
        return await worklist.rows(request, person)

    @router.get("/events", dependencies=allow(Role.LEAD), **EVENTS)
    async def events(request: Request, person: CurrentPerson) -> AsyncIterator[ServerSentEvent]:
        async for event in live.of_list(request, lambda: worklist.version(person)):
            yield event

    return router
