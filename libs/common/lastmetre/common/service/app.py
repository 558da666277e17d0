"""A service's HTTP side: its pages and API, and its admin port's health, figures, dead letters."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp, Lifespan

from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.security.access import Authenticator, DeclaredAccess, guard
from lastmetre.common.security.access_tokens import AccessTokenReader
from lastmetre.common.security.authenticator import CredentialAuthenticator, TokenReader
from lastmetre.common.security.callers import ChannelCaller
from lastmetre.common.security.sign_in import SignInPlace
from lastmetre.common.security.tokens import DevelopmentTokens
from lastmetre.common.service.build_info import BuildInfo, build_info
from lastmetre.common.service.clock import RealClock
from lastmetre.common.service.dead_letters import dead_letter_router
from lastmetre.common.service.health import health_router
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.settings import ServiceSettings
from lastmetre.common.service.stopped_senders import stopped_sender_router
from lastmetre.common.web.headers import SecurityHeaders
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.openapi import PROBLEMS, Describes, describe
from lastmetre.common.web.openapi_viewer import serve_openapi
from lastmetre.common.web.problems import Problem, install
from lastmetre.common.web.words import N_

log = structlog.get_logger()

FORM_FIELDS = 100
NO_TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}
"""FastAPI's own would export paths and queries, in which there are secret links."""


class Edge(Describes, Protocol):
    """A route that is served before the application, since it is called so often."""

    @property
    def access(self) -> DeclaredAccess:
        """The route, and who may call it."""

    def before(self, app: ASGIApp) -> ASGIApp:
        """An application that answers the route, and gives the rest to `app`."""


def pages_for(settings: ServiceSettings, service: str, *, static_path: str) -> Pages:
    """The pages of `service`, with the city's names, zone and addresses from the settings."""
    return Pages(
        f"lastmetre.{service}",
        static_path=static_path,
        time_zone=settings.city_time_zone.key,
        city_names={"zh": settings.city_name_zh, "en": settings.city_name_en},
        public_urls=settings.public_urls,
        staff_urls=settings.staff_urls,
        # With development tokens there is nothing to renew, and no session to end.
        sign_in_url="" if settings.development_keys else f"{settings.sign_in_base}/sign-in",
    )


def authenticator_of(
    settings: ServiceSettings, channel_keys: Mapping[str, ChannelCaller] | None = None
) -> CredentialAuthenticator:
    """Knows the tokens and service keys of the settings, and these channel keys by SHA-256."""
    clock = RealClock()
    readers: list[TokenReader] = [AccessTokenReader(settings.access_keys, clock)]
    if settings.development_keys:
        log.warning("development tokens are good here: this is no production")
        readers.append(DevelopmentTokens(settings.development_keys, clock))
    return CredentialAuthenticator(
        readers,
        service_keys=settings.service_keys,
        channel_keys=channel_keys or {},
        by_link=bool(settings.development_keys),
    )


def build_app(
    host: ServiceHost,
    routers: Sequence[APIRouter],
    pages: Pages,
    *,
    authenticator: Authenticator,
    internal: Sequence[APIRouter] = (),
    edge: Edge | None = None,
    foreseen: Mapping[type[Exception], Callable[[Exception], Problem]] | None = None,
) -> FastAPI:
    """The application of a service: starts and drains `host`, refuses undeclared routes.

    `edge` stands before it; `foreseen` says what exceptions of the service's own mean to a caller.
    Health, figures, dead letters and `internal` are in an application of their own, for the admin
    port: `app.state.admin`.
    """
    build = build_info(host.name)
    translations = {**dict.fromkeys(DATABASE_ERRORS, _unavailable), **(foreseen or {})}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await host.start()
        try:
            yield
        finally:
            await host.stop()

    app = _application(f"Lastmetre {host.name}", build, lifespan=lifespan)
    app.state.host = host
    app.state.edge = edge
    app.state.sign_in = SignInPlace(
        host.settings.sign_in_base,
        host.settings.staff_urls[host.name],
        always=not host.settings.development_keys,
    )
    app.state.entrance = edge.before(app) if edge else app
    for router in routers:
        app.include_router(router)
    pages.mount(app)
    install(app, pages, translations)
    describe(app, [edge] if edge else [])
    serve_openapi(app, f"/api/{host.name}/v1")
    guard(app, authenticator)

    admin = app.state.admin = _application(f"Lastmetre {host.name}, admin port", build)
    for router in (
        health_router(host, build, RealClock()),
        dead_letter_router(host),
        stopped_sender_router(host),
        *internal,
    ):
        admin.include_router(router)
    admin.add_middleware(SecurityHeaders)
    install(admin, None, translations)
    describe(admin)
    serve_openapi(admin, "")
    guard(admin, authenticator)
    return app


def _application(
    title: str, build: BuildInfo, lifespan: Lifespan[FastAPI] | None = None
) -> FastAPI:
    # FastAPI's own documentation pages load from elsewhere, so they are not served.
    return FastAPI(
        title=title,
        version=build.version,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        strict_content_type=False,
        form_limits={"max_fields": FORM_FIELDS, "max_files": 0},
        responses=PROBLEMS,
        generate_unique_id_function=lambda route: route.name,
        telemetry=NO_TELEMETRY,
    )


def _unavailable(error: Exception) -> Problem:
    """The database is away: not the caller's mistake, and worth another try."""
    log.warning("request cannot be served now", error=type(error).__name__)
    return Problem(
        503, "/problems/unavailable", N_("Not available for a moment"), headers={"Retry-After": "2"}
    )
