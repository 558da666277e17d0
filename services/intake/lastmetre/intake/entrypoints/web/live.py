"""How a report gets on, as server-sent events: one stream a page."""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from typing import Final

from fastapi import Request
from fastapi.sse import ServerSentEvent

from lastmetre.common.service.clock import Clock
from lastmetre.common.web.live_changes import LiveChanges
from lastmetre.common.web.live_events import live_events
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_

LONGEST: Final = timedelta(minutes=5)
"""Then the browser asks again."""
OF_ONE_CLIENT: Final = 20


class ProgressEvents:
    """Events `version`. Of streams there are `most` at once; pages without one ask every few
    seconds instead."""

    def __init__(self, changes: LiveChanges[bytes], clock: Clock, most: int) -> None:
        self._changes = changes
        self._clock = clock
        self._most = most
        self._open: Counter[str] = Counter()

    def admit(self, client: str) -> None:
        """Raises Problem: 429 where this client has too many streams, 503 where there are too many
        in all."""
        if self._open[client] >= OF_ONE_CLIENT:
            raise _too_many(429)
        if self._open.total() >= self._most:
            raise _too_many(503)

    async def of(
        self, request: Request, identity: bytes, client: str
    ) -> AsyncGenerator[ServerSentEvent]:
        """The version of the report's page. See `live_events`."""

        async def look(version: str) -> dict[str, str]:
            return {"version": version}

        self._open[client] += 1
        ends = self._clock.now() + LONGEST
        try:
            async with aclosing(live_events(request, self._changes, identity, look)) as events:
                async for event in events:
                    yield event
                    if self._clock.now() >= ends:
                        return
        finally:
            self._open[client] -= 1
            self._open += Counter()  # Forgets clients that have none.


def _too_many(status: int) -> Problem:
    return Problem(
        status,
        "/problems/too-many-streams",
        N_("Not available for a moment"),
        headers={"Retry-After": "60"},
    )
