"""Who may call what: declared at each route, checked before its endpoint runs, default nobody.

A route carries its rules as a decorator on its endpoint::

    @router.get("/centre")
    @allow(Role.OPERATOR, Role.SUPERVISOR)
    async def queue(request: Request) -> Response: ...

`guard(app, ...)` refuses to start an application that has a route without a declaration.
The check costs microseconds: no dependency chain, the rules are worked out when the route is made.
"""

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.responses import RedirectResponse
from starlette.routing import Mount

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
from lastmetre.common.web.problem import Problem
from lastmetre.common.web.words import N_

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

PAGES_OF = {
    Role.LEAD: frozenset({"/work", "/cases"}),
    Role.OPERATOR: frozenset({"/centre", "/cases", "/board", "/messages"}),
    Role.SUPERVISOR: frozenset({"/cases", "/board", "/messages"}),
    Role.ADMINISTRATOR: frozenset({"/centre", "/cases", "/board", "/messages"}),
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
    """Tells who is calling. Development tokens and keys now (`tokens`), OIDC later."""

    def identify(self, request: Request) -> Principal | None:
        """The caller, or None if no credential came with the request or none that holds."""


Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_DECLARATION = "__lastmetre_access__"


def allow(*rules: Rule) -> Callable[[Endpoint], Endpoint]:
    """Declare who may call an endpoint: whoever satisfies one of `rules`; no rule, nobody.

    `Anyone` and `SecretLink` stand alone: the guard looks at no credential there, and
    `request.state.principal` is None.
    """
    if len(rules) > 1 and any(isinstance(rule, Anyone | SecretLink) for rule in rules):
        raise ValueError("Anyone() and SecretLink() cannot be combined with other rules")

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _DECLARATION, rules)
        return endpoint

    return mark


class UndeclaredAccess(Exception):
    """A route says nothing about who may call it. The application must not start."""


def rules_of(endpoint: Callable[..., Any], path: str) -> tuple[Rule, ...]:
    """What `@allow` says at an endpoint; raises `UndeclaredAccess` if it says nothing."""
    rules: tuple[Rule, ...] | None = getattr(endpoint, _DECLARATION, None)
    if rules is None:
        name = getattr(endpoint, "__qualname__", repr(endpoint))
        raise UndeclaredAccess(f"{path} ({name}) does not declare who may call it: add @allow(...)")
    return rules


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


class GuardedRoute(APIRoute):
    """A route that lets in whom its endpoint's `@allow` names, and nobody else.

    Use it as `route_class` of every router. Raises `UndeclaredAccess` when made without `@allow`.
    The caller is in `request.state.principal` afterwards.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint's handler behind the check."""
        rules = rules_of(self.endpoint, self.path)
        handler = super().get_route_handler()
        if any(isinstance(rule, Anyone | SecretLink) for rule in rules):

            async def open_handler(request: Request) -> Response:
                request.state.principal = None
                return await handler(request)

            return open_handler

        async def guarded_handler(request: Request) -> Response:
            principal = admit(request, rules)
            if isinstance(principal, Person) and principal.via is Via.LINK:
                return _keep_token(request, principal.role)
            request.state.principal = principal
            return await security_log.recorded(request, principal, handler)

        return guarded_handler


def admit(request: Request, rules: tuple[Rule, ...]) -> Principal:
    """The caller, if one of `rules` lets him in.

    Raises Problem 401 for no credential or a bad one, 403 for one that does not open this, and 403
    for a form that another site sent with this browser's cookie.
    """
    authenticator: Authenticator = request.app.state.authenticator
    principal = authenticator.identify(request)
    if principal is None:
        security_log.refused(request, 401, None, "not_signed_in")
        raise Problem(
            401,
            "/problems/not-signed-in",
            N_("Please sign in"),
            N_("This needs a valid key, token or link."),
            headers={"WWW-Authenticate": "Bearer"},
        )
    if not any(satisfies(principal, rule, request.path_params) for rule in rules):
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
    return principal


def _keep_token(request: Request, role: Role) -> Response:
    """Put the token of a page link into a cookie and lead to the same address without it.

    The cookie is for that role's pages and this one only, so that one browser can hold the links of
    several roles next to each other, as in the demo.
    """
    address = request.url.remove_query_params(TOKEN_PARAMETER)
    local = address.path + (f"?{address.query}" if address.query else "")
    # A path that starts with two slashes would lead to another host.
    response = RedirectResponse("/" + local.lstrip("/"), status_code=303)
    own = "/" + request.url.path.lstrip("/").split("/", 1)[0]
    for path in sorted(PAGES_OF[role] | {own}):
        response.set_cookie(
            TOKEN_COOKIE,
            request.query_params[TOKEN_PARAMETER],
            path=path,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
    response.headers["Cache-Control"] = "no-store"
    return response


def person_of(request: Request) -> Person:
    """The member of staff who calls a route that only roles may call."""
    principal = request.state.principal
    if not isinstance(principal, Person):
        raise TypeError("this route also lets in callers who are not people")
    return principal


@dataclass(frozen=True, slots=True)
class DeclaredAccess:
    """A route and who may call it."""

    path: str
    methods: frozenset[str]
    rules: tuple[Rule, ...]

    def lets_in(self, principal: Principal | None) -> bool:
        """Whether this caller gets past the guard; None is a caller without a credential."""
        if principal is None:
            return any(isinstance(rule, Anyone | SecretLink) for rule in self.rules)
        channel = {"channel": principal.channel} if isinstance(principal, ChannelCaller) else {}
        return any(satisfies(principal, rule, channel) for rule in self.rules)


def declared_access(app: FastAPI) -> list[DeclaredAccess]:
    """Every route of the application with its rules. Raises `UndeclaredAccess` if one has none."""
    return [_declaration(context) for context in _contexts(app)]


def _contexts(app: FastAPI) -> Iterator[RouteContext]:
    return iter_route_contexts(app.routes)


def _declaration(context: RouteContext) -> DeclaredAccess:
    path = context.path or ""
    if isinstance(context.original_route, Mount):
        rules = rules_of(context.original_route.app, path)
        return _only_open(DeclaredAccess(path, frozenset({"GET"}), rules))
    if context.endpoint is None:
        raise UndeclaredAccess(f"{path} is not a route that can declare who may call it")
    rules = rules_of(context.endpoint, path)
    declared = DeclaredAccess(path, frozenset(context.methods or ()), rules)
    return declared if isinstance(context.original_route, GuardedRoute) else _only_open(declared)


def _only_open(declared: DeclaredAccess) -> DeclaredAccess:
    """Mounts and Starlette's own routes are not checked, so they may only be open to anyone."""
    if declared.rules != (Anyone(),):
        raise UndeclaredAccess(
            f"{declared.path} is not a GuardedRoute, so nothing checks its rules"
        )
    return declared


def guard(app: FastAPI, authenticator: Authenticator) -> None:
    """Put `authenticator` in charge of the application. Call it when all routes are there.

    Raises `UndeclaredAccess` for a route that does not say who may call it.
    """
    declared_access(app)
    app.state.authenticator = authenticator
