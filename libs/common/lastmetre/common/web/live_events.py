"""What changes on a page while it is open, as server-sent events: one stream a page."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Mapping
from typing import Any, Final, TypeVar

from fastapi import Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.security.access import still_admitted
from lastmetre.common.web.live_changes import CannotTell, LiveChanges

BEAT_SECONDS: Final = 5.0
"""As often something comes at least: a page that hears nothing for ten says so (`js/stream.js`)."""
BEAT: Final = ServerSentEvent(event="beat", raw_data="")
EVENTS: Final[dict[str, Any]] = {
    "response_class": EventSourceResponse,
    # A tool that reads the specification would wait for the end of what has none.
    "include_in_schema": False,
}
"""Of a route that answers with a stream of them."""

Key = TypeVar("Key", bound=Hashable)


async def live_events(
    request: Request,
    changes: LiveChanges[Key],
    key: Key,
    look: Callable[[str], Awaitable[Mapping[str, str]]],
) -> AsyncGenerator[ServerSentEvent]:
    """What `look` finds, by the names of the events: all of it when the stream begins, then
    whatever is another value once `key` has changed; and a beat behind each look, which is given
    the version of `key`.

    The stream ends when the sign-in does, while nobody can tell, and when the process stops: then
    the page says that it is not live, and asks again.
    """
    sent: Mapping[str, str] = {}
    seen: str | None = None
    while True:
        try:
            seen = await changes.after(key, seen, BEAT_SECONDS)
            if not await still_admitted(request):
                return
            found = await look(seen)
        except (CannotTell, *DATABASE_ERRORS):
            return
        for name, value in found.items():
            if sent.get(name) != value:
                yield ServerSentEvent(event=name, raw_data=value)
        yield BEAT
        sent = found
