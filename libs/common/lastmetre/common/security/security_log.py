"""The security log: who was refused, and what administrators did. Lines with `"log": "security"`.

Nothing personal of residents: the route's pattern and not its path, which may hold a secret; no
addresses, no bodies. Staff, services and senders are named as in the ledger.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from lastmetre.common.security.callers import TOKEN_PARAMETER, Person, Principal, Role
from lastmetre.common.security.staff_cookies import tokens_in_cookies
from lastmetre.common.telemetry import metrics
from lastmetre.common.web.problem import Problem

log = structlog.get_logger()

_NAMED: Final = frozenset({"letter_id", "case_id", "known_as"})
"""Parameters of paths that name what somebody looked at; others may be secrets."""


def refused(request: Request, status: int, principal: Principal | None, why: str) -> None:
    """Somebody was not let in."""
    metrics.ACCESS_REFUSED.labels(str(status), why).inc()
    log.warning(
        "access refused",
        log="security",
        status=status,
        why=why,
        credential=_credential(request),
        who=principal.actor if principal else None,
        **_what(request),
    )


def signed_in(request: Request, who: str, how: str) -> None:
    """Somebody has proved who he is."""
    log.info("signed in", log="security", who=who, how=how, **_what(request))


def display_registered(request: Request, who: str, display: str) -> None:
    """Somebody has made a link by which a screen may sign in."""
    log.info("display registered", log="security", who=who, display=display, **_what(request))


def signed_out(request: Request, who: str, how: str) -> None:
    """Somebody's sign-in ended before its time."""
    log.info("signed out", log="security", who=who, how=how, **_what(request))


async def recorded(
    request: Request, principal: Principal, handle: Callable[[Request], Awaitable[Response]]
) -> Response:
    """The handler's answer; what an administrator does is logged, whether it came off or not."""
    if not (isinstance(principal, Person) and principal.role is Role.ADMINISTRATOR):
        return await handle(request)
    status = int(HTTPStatus.INTERNAL_SERVER_ERROR)
    try:
        response = await handle(request)
        status = response.status_code
    except Problem as problem:
        status = problem.status
        raise
    except HTTPException as error:
        status = error.status_code
        raise
    except RequestValidationError:
        status = int(HTTPStatus.UNPROCESSABLE_ENTITY)
        raise
    finally:
        log.info(
            "administrator", log="security", status=status, who=principal.actor, **_what(request)
        )
    return response


def opened(service: str, kind: str, count: int) -> None:
    """A service had that many contacts or texts opened; people who look are noted one by one."""
    metrics.VAULT_OPENED.labels(service, kind).inc(count)


def _what(request: Request) -> dict[str, object]:
    route = getattr(request.scope.get("route"), "path", "no route")
    known = request.path_params
    named = {name: str(known[name])[:40] for name in sorted(_NAMED & known.keys())}
    return {"method": request.method, "route": route, **named}


def _credential(request: Request) -> str:
    """What came with the request, never its value."""
    if "x-api-key" in request.headers:
        return "channel key"
    if "authorization" in request.headers:
        return "bearer"
    if TOKEN_PARAMETER in request.query_params:
        return "link"
    return "cookie" if tokens_in_cookies(request) else "none"
