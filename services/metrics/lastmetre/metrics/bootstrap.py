"""Metrics, put together: `python -m lastmetre.metrics`."""

from fastapi import FastAPI

from lastmetre.common.service.app import authenticator_of, build_app, pages_for
from lastmetre.common.service.change_marks import LookForChanges
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.serving import serve
from lastmetre.common.web.live_changes import LiveChanges
from lastmetre.metrics.adapters.postgres.board import change_mark
from lastmetre.metrics.application.board import Board
from lastmetre.metrics.application.count_messages import CountMessages
from lastmetre.metrics.application.count_reports import CountReports
from lastmetre.metrics.application.fold_case_events import FoldCaseEvents
from lastmetre.metrics.application.indicators import WorkOutIndicators
from lastmetre.metrics.application.keep_areas import KeepAreas
from lastmetre.metrics.application.read_facts import ReadFacts
from lastmetre.metrics.entrypoints.api import api_router
from lastmetre.metrics.entrypoints.consumers import Consumers
from lastmetre.metrics.entrypoints.web.pages import board_router
from lastmetre.metrics.settings import MetricsSettings

NAME = "metrics"


def create_app(settings: MetricsSettings) -> FastAPI:
    """The application of one metrics process."""
    host = ServiceHost(NAME, settings, sends_to=())
    zone = settings.city_time_zone
    Consumers(FoldCaseEvents(zone), CountReports(zone), CountMessages(zone), KeepAreas()).join(host)
    pages = pages_for(settings, NAME, static_path="/board/static")
    changes = LiveChanges(LookForChanges(host, change_mark, host.consumers_missing))
    host.background(changes.run)
    host.when_told_to_stop(changes.end)
    return build_app(
        host,
        (
            api_router(WorkOutIndicators(host), ReadFacts(host), zone),
            board_router(Board(host, zone), changes, pages),
        ),
        pages,
        authenticator=authenticator_of(settings),
    )


def main() -> None:
    """Run until told to stop."""
    settings = MetricsSettings()
    serve(create_app(settings), NAME, settings)
