"""Runs a service's process: its public port, its admin port, and its orderly end."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Final

import structlog
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from lastmetre.common.security.access import declared_access
from lastmetre.common.service.build_info import build_info
from lastmetre.common.service.describing import description
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.request_limits import LimitedRequests
from lastmetre.common.service.settings import ServiceSettings
from lastmetre.common.telemetry.logs import configure_logs
from lastmetre.common.telemetry.metrics import BUILD_INFO
from lastmetre.common.telemetry.timing import MeasuredRequests
from lastmetre.common.telemetry.traces import TRACES

log = structlog.get_logger()

HTTP_DRAIN_SECONDS: Final = 4


def serve(app: FastAPI, name: str, settings: ServiceSettings) -> None:
    """Run the service until SIGTERM or SIGINT, then drain it; with the argument `describe`, only
    print what it says about itself."""
    if sys.argv[1:] == ["describe"]:
        print(json.dumps(description(app)))  # noqa: T201 - the answer
        return
    build = build_info(name)
    configure_logs(name, **build._asdict())
    BUILD_INFO.labels(name, *build).set(1)
    host: ServiceHost = app.state.host
    server = _Server(
        host,
        uvicorn.Config(
            TRACES.requests(
                by_port(
                    MeasuredRequests(app.state.entrance, name, _routes(app)),
                    MeasuredRequests(app.state.admin, name),
                    settings.admin_port,
                )
            ),
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
        ),
    )

    def end(*_: object) -> None:
        # uvicorn minds signals from its own start to its end, then raises them once more.
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    sockets = [
        _bound(settings.http_host, settings.http_port),
        _bound(settings.admin_host or settings.http_host, settings.admin_port),
    ]
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(_serve_and_drain(server, host, sockets))
    sys.exit(int(host.tasks.failed))


class _Server(uvicorn.Server):
    """Tells the host before it waits for answers that are under way."""

    def __init__(self, host: ServiceHost, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._host = host

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close what listens, and wait for the answers."""
        self._host.told_to_stop()
        await super().shutdown(sockets)


def _routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    for route in declared_access(app):
        for method in route.methods:
            yield method, route.path


def by_port(public: ASGIApp, admin: ASGIApp, admin_port: int) -> ASGIApp:
    """`admin` for connections to that port, `public` for all others and for the life span."""

    async def entrance(scope: Scope, receive: Receive, send: Send) -> None:
        to_admin = scope["type"] == "http" and scope["server"][1] == admin_port
        await (admin if to_admin else public)(scope, receive, send)

    return entrance


def _bound(host: str, port: int) -> socket.socket:
    """A socket that is bound, and listens once the service does; without one the process ends."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        log.critical("the address cannot be listened at", host=host, port=port, error=str(error))
        sys.exit(1)
    return bound


async def _serve_and_drain(
    server: uvicorn.Server, host: ServiceHost, sockets: list[socket.socket]
) -> None:
    try:
        await server.serve(sockets)
    finally:
        # uvicorn leaves the application alone where it was told to stop before it listened.
        await host.stop()
