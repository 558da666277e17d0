"""What happens meanwhile, as server-sent events: one stream a page."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final
from uuid import UUID

from babel.support import NullTranslations
from fastapi import Request
from fastapi.sse import ServerSentEvent

from lastmetre.common.security.access import person_of
from lastmetre.common.security.callers import Person
from lastmetre.common.web.live_changes import LiveChanges
from lastmetre.common.web.live_events import live_events
from lastmetre.common.web.words import N_
from lastmetre.dispatch.application.case_list import state_of
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.application.hold_actions import HoldActions
from lastmetre.dispatch.application.note_viewers import NoteViewers
from lastmetre.dispatch.entrypoints.web.centre import CentrePages, ListQuery

CASES: Final = "cases"
"""What pages wait for: all cases together."""
ALSO_OPEN: Final = N_("%(names)s also has this open")
SEVERAL_OPEN: Final = N_("%(names)s also have this open")


class LiveEvents:
    """Events of a page: `version` of its list, `case` with its new state, `viewers` in words."""

    def __init__(
        self,
        service: CaseService,
        hold: HoldActions,
        centre: CentrePages,
        changes: LiveChanges[str],
        viewers: NoteViewers,
    ) -> None:
        self._service = service
        self._hold = hold
        self._centre = centre
        self._changes = changes
        self._viewers = viewers

    async def of_centre(
        self, request: Request, asked: ListQuery, translations: NullTranslations
    ) -> AsyncIterator[ServerSentEvent]:
        """A list with a case beside it."""
        person = person_of(request)
        case_id = await self._service.case_known_as(asked.case) if asked.case else None

        async def look(_: str) -> dict[str, str]:
            state = {"version": await self._centre.version(asked)}
            if case_id is not None:
                state |= await self._of_case(case_id, person, translations)
            return state

        async for event in live_events(request, self._changes, CASES, look):
            yield event

    async def of_list(
        self, request: Request, version: Callable[[], Awaitable[str]]
    ) -> AsyncIterator[ServerSentEvent]:
        """A list alone."""

        async def look(_: str) -> dict[str, str]:
            return {"version": await version()}

        async for event in live_events(request, self._changes, CASES, look):
            yield event

    async def _of_case(
        self, case_id: UUID, person: Person, translations: NullTranslations
    ) -> dict[str, str]:
        others = await self._viewers(case_id, person)
        found = await self._service.case(case_id)
        if found is None:
            return {}
        held = (await self._hold.of_cases([case_id])).get(case_id)
        words = str(translations.ungettext(ALSO_OPEN, SEVERAL_OPEN, len(others)))
        return {
            "case": state_of(found[0], held),
            "viewers": words % {"names": ", ".join(others)} if others else "",
        }
