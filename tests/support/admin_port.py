"""What is asked of a service's admin port, and how a client finds it."""

import re
from typing import Final

import httpx

_INTERNAL: Final = re.compile(
    r"/(livez|readyz|metrics|api/\w+/v1/(dead-letters|stopped-senders)"
    r"|api/intake/v1/(lookup|contacts|texts|lead-contacts|notes)"
    r"|api/notify/v1/cases/[^/]+/messages/texts)(?![\w-])"
)


def is_internal(path: str) -> bool:
    """Whether this path is the admin port's."""
    return _INTERNAL.match(path) is not None


def client_of(base: str, admin: str, **options: object) -> httpx.AsyncClient:
    """A client of a process: internal paths are asked of its admin port."""
    port = httpx.URL(admin).port

    async def choose(request: httpx.Request) -> None:
        if is_internal(request.url.path):
            request.url = request.url.copy_with(port=port)

    hooks = {"request": [choose]}
    return httpx.AsyncClient(base_url=base, event_hooks=hooks, **options)  # type: ignore[arg-type]
