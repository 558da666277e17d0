"""Dispatch, put together: `python -m lastmetre.dispatch`."""

from fastapi import FastAPI

from lastmetre.common.contracts.topics import NETWORK_AREAS
from lastmetre.common.service.app import build_app, pages_for, serve
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.tables.categories import read_categories
from lastmetre.dispatch.adapters.case_messages import CaseMessagesClient
from lastmetre.dispatch.adapters.field_systems_file import read_field_systems
from lastmetre.dispatch.adapters.vault import VaultClient
from lastmetre.dispatch.api import api_router
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.application.finish_decisions import FinishDecisions
from lastmetre.dispatch.application.handle_requests import HandleRequests
from lastmetre.dispatch.application.network_cache import NetworkCache
from lastmetre.dispatch.application.refuse_expired import RefuseExpired
from lastmetre.dispatch.application.register_reports import Registrar
from lastmetre.dispatch.application.reserve_numbers import NumberReservations
from lastmetre.dispatch.consumers import SENDS_TO, CommandReader, Consumers
from lastmetre.dispatch.settings import DispatchSettings
from lastmetre.dispatch.web.actions import Actions, actions_router
from lastmetre.dispatch.web.case_view import CaseView
from lastmetre.dispatch.web.pages import StaffPages, pages_router

NAME = "dispatch"


def create_app(settings: DispatchSettings) -> FastAPI:
    """The application of one dispatch process."""
    host = ServiceHost(NAME, settings, sends_to=(*SENDS_TO, NETWORK_AREAS))
    network = NetworkCache()
    reader = CommandReader(read_field_systems(settings.field_systems_file), host.identities)
    registrar = Registrar(NumberReservations(lambda: host.pool), settings.city_time_zone)
    Consumers(
        reader,
        HandleRequests(registrar, network, reader.read),
        FinishDecisions(host, network),
        RefuseExpired(host, network, reader.read),
    ).join(host)
    service = CaseService(host, network)
    key = settings.service_key.get_secret_value()
    vault = VaultClient(settings.intake_internal_url, key)
    messages = CaseMessagesClient(settings.notify_internal_url or settings.notify_public_url, key)
    pages = pages_for(settings, NAME, static_path="/work/static")
    categories = read_categories(settings.categories_file)
    view = CaseView(host, service, vault, messages, pages, categories)
    views = StaffPages(host, service, view, pages)
    routers = (
        api_router(host, service),
        pages_router(service, views),
        actions_router(Actions(host, service, views)),
    )
    return build_app(host, routers, pages)


def main() -> None:
    """Run until told to stop."""
    settings = DispatchSettings()
    serve(create_app(settings), NAME, settings)
