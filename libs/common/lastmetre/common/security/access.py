"""Who may call what: declared at each route, checked before its body is read, default nobody.

A route says it among its dependencies, where OpenAPI finds it too::

    @router.get("/centre", dependencies=allow(Role.OPERATOR, Role.SUPERVISOR))
    async def queue(person: CurrentPerson) -> Response: ...

`guard(app, ...)` refuses to start an application that has a route without a declaration.
"""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol, TypeVar

from fastapi import Depends, FastAPI, Request, Response, Security
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Mount
from starlette.types import Message, Receive

from lastmetre.common.security import security_log
from lastmetre.common.security.callers import (
    TOKEN_COOKIE,
    TOKEN_PARAMETER,
    ChannelCaller,
    Person,
    Principal,
    Role,
    ServiceCaller,
    Via,
)
from lastmetre.common.security.origin import refuse_cross_site
from lastmetre.common.security.sign_in import confirm_sign_in, sign_in_place
from lastmetre.common.security.staff_cookies import keep_token, pages_part
from lastmetre.common.web.problem import Problem
from lastmetre.common.web.words import N_

BODY_BYTES: Final = 2 * 1024 * 1024
"""The largest body where a route names no `max_body_size`: a list that a service asks for."""
_BESIDE_FILES: Final = 64 * 1024  # of a body that is in memory, where a route takes files
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

PAGES_OF = {
    Role.LEAD: frozenset({"/work", "/cases"}),
    Role.OPERATOR: frozenset({"/centre", "/cases", "/board", "/messages"}),
    Role.SUPERVISOR: frozenset({"/cases", "/board", "/messages"}),
    Role.ADMINISTRATOR: frozenset({"/centre", "/cases", "/board", "/messages"}),
    Role.DISPLAY: frozenset({"/board"}),
}
"""The pages of each role, by the first part of their path: what its pages link to."""


@dataclass(frozen=True, slots=True)
class ChannelKey:
    """A channel with its API key: the key of the path's `{channel}`, where the path has one."""


@dataclass(frozen=True, slots=True, init=False)
class ServiceKey:
    """One of the services named, with its own key."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


@dataclass(frozen=True, slots=True)
class SecretLink:
    """Whoever holds the secret in the path. The endpoint opens it, and answers 404 if it is bad."""


@dataclass(frozen=True, slots=True)
class Anyone:
    """No condition: health, static files, the report form."""


Rule = Role | ChannelKey | ServiceKey | SecretLink | Anyone


class Authenticator(Protocol):
    """Tells who is calling: `authenticator`."""

    async def identify(self, request: Request) -> Principal | None:
        """The caller, or None if no credential came with the request or none that holds."""


Scheme = HTTPBearer | APIKeyCookie | APIKeyHeader
# They are in OpenAPI; what they find in a request is looked at by the authenticator.
STAFF_TOKEN: Final = HTTPBearer(
    scheme_name="staffToken",
    bearerFormat="JWT",
    description="A member of staff. The scopes are the roles that may call.",
    auto_error=False,
)
STAFF_COOKIE: Final = APIKeyCookie(
    name=TOKEN_COOKIE,
    scheme_name="staffCookie",
    description=(
        "The same token in a browser, which a page link leaves there. By TLS it is named"
        " `__Host-lastmetre_token_` and the first part of the path."
    ),
    auto_error=False,
)
SERVICE_KEY: Final = HTTPBearer(
    scheme_name="serviceKey",
    description="One of our own services. The scopes are the services that may call.",
    auto_error=False,
)
CHANNEL_KEY: Final = APIKeyHeader(
    name="X-API-Key",
    scheme_name="channelKey",
    description="The key of a channel's sender.",
    auto_error=False,
)


class UndeclaredAccess(Exception):
    """A route says nothing about who may call it. The application must not start."""


def satisfies(principal: Principal, rule: Rule, path_parameters: dict[str, Any]) -> bool:
    """Whether this caller satisfies that rule on a path with these parameters."""
    match rule, principal:
        case Role(), Person(role=role):
            return role is rule
        case ServiceKey(names=names), ServiceCaller(name=name):
            return name in names
        case ChannelKey(), ChannelCaller(channel=channel):
            return bool(path_parameters.get("channel", channel) == channel)
        case ((Anyone() | SecretLink()), _):
            return True
    return False


class Guard:
    """The dependency that lets in whoever satisfies one of `rules`.

    The caller is in `request.state.principal` afterwards, None on an open route, where no
    credential is looked at.
    """

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self._open = any(isinstance(rule, Anyone | SecretLink) for rule in rules)

    async def __call__(self, request: Request) -> None:
        """Raises Problem 401 or 403 (see `admit`), LedOn for a page link or a sign-in."""
        if self._open:
            request.state.principal = None
        elif not hasattr(request.state, "principal"):
            principal = await admit(request, self.rules, request.app.state.authenticator)
            if isinstance(principal, Person) and principal.via is Via.LINK:
                await confirm_sign_in(request, principal.actor)
                raise LedOn(_keep_token(request, principal.role))
            request.state.principal = principal


class LedOn(Exception):
    """A browser is led elsewhere by `response`: to sign in, or with the token of its link kept."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def allow(*rules: Rule) -> list[Dependency]:
    """The dependencies that declare who may call a route: whoever satisfies one of `rules`; no
    rule, nobody. `Anyone` and `SecretLink` stand alone."""
    if len(rules) > 1 and any(isinstance(rule, Anyone | SecretLink) for rule in rules):
        raise ValueError("Anyone() and SecretLink() cannot be combined with other rules")
    return [Depends(Guard(rules)), *(Security(each, scopes=s) for each, s in schemes(rules))]


def schemes(rules: Sequence[Rule]) -> Iterator[tuple[Scheme, list[str]]]:
    """The security schemes that answer these rules, each with the roles or services it names."""
    if roles := [role.value for role in Role if role in rules]:
        yield STAFF_TOKEN, roles
        yield STAFF_COOKIE, roles
    if names := [name for rule in rules if isinstance(rule, ServiceKey) for name in rule.names]:
        yield SERVICE_KEY, names
    if any(isinstance(rule, ChannelKey) for rule in rules):
        yield CHANNEL_KEY, []


class GuardedRoute(APIRoute):
    """A route that checks its guard before its body is read, and reads no more than it may.

    FastAPI reads a body before it solves dependencies, and its own limit answers in plain text.
    Use it as `route_class` of every router. Raises `UndeclaredAccess` when made without `allow`.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        max_body_size: int | None = None,
        **options: Any,
    ) -> None:
        guards = [
            each.dependency
            for each in options.get("dependencies") or ()
            if isinstance(each.dependency, Guard)
        ]
        if len(guards) != 1:
            raise UndeclaredAccess(
                f"{path} ({endpoint.__qualname__}) does not declare who may call it: add allow(...)"
            )
        self.guard = guards[0]
        self._body_bytes = BODY_BYTES if max_body_size is None else max_body_size
        takes_files = bool((options.get("form_limits") or {}).get("max_files"))
        self._plain_bytes = _BESIDE_FILES if takes_files else self._body_bytes
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint's handler behind the check."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                await self.guard(request)
            except LedOn as led_on:
                return led_on.response
            kind = request.headers.get("content-type", "").lower()
            limit = self._body_bytes if kind.startswith("multipart/") else self._plain_bytes
            within = Request(request.scope, limited(request.receive, limit))
            if (principal := request.state.principal) is None:
                return await handle(within)
            return await security_log.recorded(within, principal, handle)

        return guarded


def limited(receive: Receive, limit: int) -> Receive:
    """`receive` that raises HTTPException 413 once a body has more than `limit` bytes."""
    received = 0

    async def receive_within() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(413)
        return message

    return receive_within


async def admit(
    request: Request, rules: tuple[Rule, ...], authenticator: Authenticator
) -> Principal:
    """The caller, if one of `rules` lets him in; of several roles in the first that does.

    Raises Problem 401 for no credential or a bad one, 403 for one that does not open this, and 403
    for a form that another site sent with this browser's cookie; LedOn for a page that somebody
    opens who has not signed in.
    """
    principal = await authenticator.identify(request)
    if principal is None:
        if (place := sign_in_place(request)) and (address := place.for_page(request)):
            raise LedOn(RedirectResponse(address, 303, {"Cache-Control": "no-store"}))
        security_log.refused(request, 401, None, "not_signed_in")
        raise Problem(
            401,
            "/problems/not-signed-in",
            N_("Please sign in"),
            N_("This needs a valid key, token or link."),
            headers={"WWW-Authenticate": "Bearer"},
        )
    acting = _acting(principal, rules, request.path_params)
    if acting is None:
        security_log.refused(request, 403, principal, "not_allowed")
        raise Problem(
            403,
            "/problems/not-allowed",
            N_("This is not open to you"),
            N_("You are known here, but this is for others."),
        )
    from_cookie = isinstance(principal, Person) and principal.via is Via.COOKIE
    if from_cookie and request.method not in _SAFE_METHODS:
        refuse_cross_site(request)
    return acting


def _acting(
    principal: Principal, rules: tuple[Rule, ...], path_parameters: dict[str, Any]
) -> Principal | None:
    """The caller in the first of his roles that one of `rules` lets in."""
    for each in _in_each_role(principal):
        if any(satisfies(each, rule, path_parameters) for rule in rules):
            return each
    return None


def _in_each_role(principal: Principal | None) -> Sequence[Principal]:
    if isinstance(principal, Person):
        return principal.in_each_role
    return () if principal is None else (principal,)


async def still_admitted(request: Request) -> bool:
    """Whether what let the caller in holds still, for an answer that goes on for long."""
    principal: Principal | None = request.state.principal
    if principal is None:  # an open route looks at no credential
        return True
    authenticator: Authenticator = request.app.state.authenticator
    return principal in _in_each_role(await authenticator.identify(request))


def _keep_token(request: Request, role: Role) -> Response:
    """Put the token of a page link into a cookie and lead to the same address without it.

    The cookie is for that role's pages and this one only, so that one browser can hold the links of
    several roles next to each other, as in the demo.
    """
    address = request.url.remove_query_params(TOKEN_PARAMETER)
    local = address.path + (f"?{address.query}" if address.query else "")
    # A path that starts with two slashes would lead to another host.
    response = RedirectResponse("/" + local.lstrip("/"), status_code=303)
    pages = PAGES_OF[role] | {pages_part(request.url.path)}
    keep_token(request, response, request.query_params[TOKEN_PARAMETER], pages)
    response.headers["Cache-Control"] = "no-store"
    return response


def person_of(request: Request) -> Person:
    """The member of staff who calls a route that only roles may call."""
    principal = request.state.principal
    if not isinstance(principal, Person):
        raise TypeError("this route also lets in callers who are not people")
    return principal


async def _current_person(request: Request) -> Person:
    return person_of(request)


async def service_of(request: Request) -> ServiceCaller:
    """The service that calls a route that only services may call."""
    principal = request.state.principal
    if not isinstance(principal, ServiceCaller):
        raise TypeError("this route also lets in callers that are not services")
    return principal


CurrentPerson = Annotated[Person, Depends(_current_person)]
CallingService = Annotated[ServiceCaller, Depends(service_of)]


@dataclass(frozen=True, slots=True)
class DeclaredAccess:
    """A route and who may call it."""

    path: str
    methods: frozenset[str]
    rules: tuple[Rule, ...]


OpenApplication = TypeVar("OpenApplication", bound=Callable[..., Any])
_OPEN: Final = "__lastmetre_open__"


def open_to_anyone(application: OpenApplication) -> OpenApplication:
    """Declare that what is mounted, or a route of Starlette's own, needs no credential."""
    setattr(application, _OPEN, True)
    return application


def declared_access(app: FastAPI) -> list[DeclaredAccess]:
    """Every route of the application with its rules, that of an edge before it too.

    Raises `UndeclaredAccess` if one has none.
    """
    edge = getattr(app.state, "edge", None)
    routes = [_declaration(context) for context in iter_route_contexts(app.routes)]
    return [*routes, edge.access] if edge else routes


def _declaration(context: RouteContext) -> DeclaredAccess:
    path, route = context.path or "", context.original_route
    if isinstance(route, GuardedRoute):
        return DeclaredAccess(path, frozenset(context.methods or ()), route.guard.rules)
    mounted = isinstance(route, Mount)
    if not getattr(route.app if isinstance(route, Mount) else context.endpoint, _OPEN, False):
        raise UndeclaredAccess(f"{path} is not a GuardedRoute, so nothing checks who calls it")
    methods = frozenset({"GET"}) if mounted else frozenset(context.methods or ())
    return DeclaredAccess(path, methods, (Anyone(),))


def guard(app: FastAPI, authenticator: Authenticator) -> None:
    """Put `authenticator` in charge of the application. Call it when all routes are there.

    Raises `UndeclaredAccess` for a route that does not say who may call it.
    """
    declared_access(app)
    app.state.authenticator = authenticator
