"""Dispatch, put together: `python -m lastmetre.dispatch`."""

from fastapi import FastAPI

from lastmetre.common.contracts.topics import NETWORK_AREAS
from lastmetre.common.service.app import build_app, pages_for, serve
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.tables.categories import read_categories
from lastmetre.dispatch.api import api_router
from lastmetre.dispatch.case_service import CaseService
from lastmetre.dispatch.consumers import SENDS_TO, Requests
from lastmetre.dispatch.field_systems_file import read_field_systems
from lastmetre.dispatch.network import NetworkCache
from lastmetre.dispatch.settings import DispatchSettings
from lastmetre.dispatch.vault import VaultClient
from lastmetre.dispatch.web.pages import pages_router

NAME = "dispatch"


def create_app(settings: DispatchSettings) -> FastAPI:
    """The application of one dispatch process."""
    host = ServiceHost(NAME, settings, sends_to=(*SENDS_TO, NETWORK_AREAS))
    network = NetworkCache()
    Requests(host, network, read_field_systems(settings.field_systems_file))
    service = CaseService(host, network)
    vault = VaultClient(settings.intake_internal_url, settings.service_key.get_secret_value())
    pages = pages_for(settings, NAME, static_path="/work/static")
    routers = (
        api_router(host, service),
        pages_router(host, service, vault, pages, read_categories(settings.categories_file)),
    )
    return build_app(host, routers, pages)


def main() -> None:
    """Run until told to stop."""
    settings = DispatchSettings()
    serve(create_app(settings), NAME, settings)
