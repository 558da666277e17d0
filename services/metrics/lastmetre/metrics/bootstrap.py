"""Metrics, put together: `python -m lastmetre.metrics`."""

from fastapi import FastAPI

from lastmetre.common.service.app import (
    build_app,
    development_authenticator,
    pages_for,
)
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.serving import serve
from lastmetre.metrics.application.board import Board
from lastmetre.metrics.entrypoints.api import api_router
from lastmetre.metrics.entrypoints.consumers import Consumers
from lastmetre.metrics.entrypoints.web.pages import board_router
from lastmetre.metrics.settings import MetricsSettings

NAME = "metrics"


def create_app(settings: MetricsSettings) -> FastAPI:
    """The application of one metrics process."""
    host = ServiceHost(NAME, settings, sends_to=())
    zone = settings.city_time_zone
    Consumers(zone).join(host)
    pages = pages_for(settings, NAME, static_path="/board/static")
    board = Board(host, zone)
    return build_app(
        host,
        (api_router(host, zone), board_router(board, pages)),
        pages,
        authenticator=development_authenticator(settings),
    )


def main() -> None:
    """Run until told to stop."""
    settings = MetricsSettings()
    serve(create_app(settings), NAME, settings)
