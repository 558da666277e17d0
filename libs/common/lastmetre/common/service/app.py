"""A service's HTTP side: its pages and API with health, metrics and dead letters beside them."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.security.access import Anyone, GuardedRoute, allow, guard
from lastmetre.common.security.callers import ChannelCaller
from lastmetre.common.security.tokens import DevelopmentAuthenticator
from lastmetre.common.service.clock import RealClock
from lastmetre.common.service.dead_letters import dead_letter_router
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.request_limits import LimitedRequests
from lastmetre.common.service.settings import ServiceSettings
from lastmetre.common.service.stopped_senders import stopped_sender_router
from lastmetre.common.telemetry.logs import configure_logs
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.problems import Problem, answer, install
from lastmetre.common.web.words import N_

log = structlog.get_logger()

HTTP_DRAIN_SECONDS = 4


def pages_for(settings: ServiceSettings, service: str, *, static_path: str) -> Pages:
    """The pages of `service`, with the city's names, zone and addresses from the settings."""
    return Pages(
        f"lastmetre.{service}",
        static_path=static_path,
        time_zone=settings.city_time_zone.key,
        city_names={"zh": settings.city_name_zh, "en": settings.city_name_en},
        public_urls={
            "intake": settings.intake_public_url,
            "dispatch": settings.dispatch_public_url,
            "notify": settings.notify_public_url,
            "metrics": settings.metrics_public_url,
        },
    )


def build_app(
    host: ServiceHost,
    routers: Sequence[APIRouter],
    pages: Pages,
    *,
    channel_keys: Mapping[str, ChannelCaller] | None = None,
    hot_paths: Callable[[FastAPI], ASGIApp] | None = None,
) -> FastAPI:
    """The application of a service: starts and drains `host`, refuses undeclared routes.

    `hot_paths` makes a `HotPaths` before the application, which is then what `serve` serves.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await host.start()
        try:
            yield
        finally:
            await host.stop()

    # FastAPI's own documentation pages load from elsewhere, so they are not served.
    app = FastAPI(
        title=f"Lastmetre {host.name}",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.host = host
    app.state.entrance = hot_paths(app) if hot_paths else app
    for router in (
        *routers,
        health_router(host),
        dead_letter_router(host),
        stopped_sender_router(host),
    ):
        app.include_router(router)
    pages.mount(app)
    install(app, pages)
    for error in DATABASE_ERRORS:
        app.add_exception_handler(error, _unavailable(pages))
    settings = host.settings
    guard(
        app,
        DevelopmentAuthenticator(
            settings.token_key,
            old_token_keys=settings.token_old_keys,
            service_keys=settings.service_keys,
            channel_keys=channel_keys or {},
            clock=RealClock(),
        ),
    )
    return app


def _unavailable(pages: Pages) -> Callable[[Request, Exception], Awaitable[Response]]:
    """The database is away: not the caller's mistake, and worth another try."""

    async def handler(request: Request, error: Exception) -> Response:
        log.warning("request cannot be served now", error=type(error).__name__)
        return answer(
            request,
            Problem(
                503,
                "/problems/unavailable",
                N_("Not available for a moment"),
                headers={"Retry-After": "2"},
            ),
            pages,
        )

    return handler


def health_router(host: ServiceHost) -> APIRouter:
    """`/livez`, `/readyz` and `/metrics`."""
    router = APIRouter(route_class=GuardedRoute)

    @router.get("/livez")
    @allow(Anyone())
    async def livez(_: Request) -> Response:
        return _verdict(host.alive())

    @router.get("/readyz")
    @allow(Anyone())
    async def readyz(request: Request) -> Response:
        """May this process be given requests; with `?all`, does everything in it work."""
        if "all" not in request.query_params:
            return _verdict(list(host.serving()))
        return _verdict([each for missing in host.checks().values() for each in missing])

    @router.get("/metrics")
    @allow(Anyone())
    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


def _verdict(missing: list[str]) -> Response:
    return JSONResponse(
        {"status": "unavailable" if missing else "ok", "missing": missing},
        status_code=503 if missing else 200,
    )


def serve(app: FastAPI, name: str, settings: ServiceSettings) -> None:
    """Run the service until SIGTERM or SIGINT, then drain it."""
    configure_logs(name)
    host: ServiceHost = app.state.host
    server = uvicorn.Server(
        uvicorn.Config(
            app.state.entrance,
            host=settings.http_host,
            port=settings.http_port,
            loop="uvloop",
            http=LimitedRequests,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            forwarded_allow_ips=settings.trusted_proxies,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=HTTP_DRAIN_SECONDS,
        )
    )

    def end(*_: object) -> None:
        # uvicorn minds signals from its own start to its end, then raises them once more.
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(_serve_and_drain(server, host))
    sys.exit(int(host.tasks.failed))


async def _serve_and_drain(server: uvicorn.Server, host: ServiceHost) -> None:
    try:
        await server.serve()
    finally:
        # uvicorn leaves the application alone where it was told to stop before it listened.
        await host.stop()
