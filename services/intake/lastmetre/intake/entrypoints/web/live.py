"""How a report gets on, as server-sent events: one stream a page."""

from collections import Counter
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Final

from fastapi.sse import ServerSentEvent

from lastmetre.common.service.clock import Clock
from lastmetre.common.web.live_changes import CannotTell, LiveChanges
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_

BEAT_SECONDS: Final = 4.0
"""After so long the version is told again: a page that hears nothing says so."""
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

    async def of(self, identity: bytes, client: str) -> AsyncGenerator[ServerSentEvent]:
        """The version when the stream begins, whenever it is another, and every few seconds.

        It ends while nobody can tell, so that the page says so.
        """
        self._open[client] += 1
        try:
            ends = self._clock.now() + LONGEST
            seen: str | None = None
            while self._clock.now() < ends:
                seen = await self._changes.after(identity, seen, BEAT_SECONDS)
                yield ServerSentEvent(event="version", raw_data=seen)
        except CannotTell:
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
