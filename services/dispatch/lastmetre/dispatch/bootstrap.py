"""Dispatch, put together: `python -m lastmetre.dispatch`."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI

from lastmetre.common.categories import Categories
from lastmetre.common.contracts.topics import NETWORK_AREAS
from lastmetre.common.security.lead_links import LeadLinks
from lastmetre.common.service.app import build_app, development_authenticator, pages_for
from lastmetre.common.service.clock import RealClock
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.serving import serve
from lastmetre.common.tables.categories import read_categories
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.live_changes import LiveChanges
from lastmetre.dispatch.adapters.case_messages import CaseMessagesClient
from lastmetre.dispatch.adapters.field_systems_file import read_field_systems
from lastmetre.dispatch.adapters.service_client import ServiceClient
from lastmetre.dispatch.adapters.vault import VaultClient
from lastmetre.dispatch.application.case_list import CaseList
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.application.finish_decisions import FinishDecisions
from lastmetre.dispatch.application.handle_requests import HandleRequests
from lastmetre.dispatch.application.hold_actions import HoldActions
from lastmetre.dispatch.application.live_changes import LookForChanges
from lastmetre.dispatch.application.network_cache import NetworkCache
from lastmetre.dispatch.application.refuse_expired import RefuseExpired
from lastmetre.dispatch.application.register_reports import Registrar
from lastmetre.dispatch.application.reserve_numbers import NumberReservations
from lastmetre.dispatch.entrypoints.api import api_router
from lastmetre.dispatch.entrypoints.asking import Asking
from lastmetre.dispatch.entrypoints.consumers import SENDS_TO, CommandReader, Consumers
from lastmetre.dispatch.entrypoints.web.actions import Actions, actions_router
from lastmetre.dispatch.entrypoints.web.case_page import CasePages, case_router
from lastmetre.dispatch.entrypoints.web.case_view import CaseView
from lastmetre.dispatch.entrypoints.web.centre import CentrePages
from lastmetre.dispatch.entrypoints.web.centre_routes import centre_router
from lastmetre.dispatch.entrypoints.web.live import LiveEvents
from lastmetre.dispatch.entrypoints.web.sign_in import sign_in_router
from lastmetre.dispatch.entrypoints.web.worklist import Worklist
from lastmetre.dispatch.entrypoints.web.worklist_routes import worklist_router
from lastmetre.dispatch.settings import DispatchSettings

NAME = "dispatch"


def create_app(settings: DispatchSettings) -> FastAPI:
    """The application of one dispatch process."""
    host = ServiceHost(NAME, settings, sends_to=(*SENDS_TO, NETWORK_AREAS))
    network = NetworkCache()
    categories = read_categories(settings.categories_file)
    reader = CommandReader(
        read_field_systems(settings.field_systems_file), categories, host.identities
    )
    registrar = Registrar(NumberReservations(lambda: host.pool), settings.city_time_zone)
    Consumers(
        reader,
        HandleRequests(registrar, network, reader.read),
        FinishDecisions(host, network),
        RefuseExpired(host, network, reader.read),
    ).join(host)
    service = CaseService(host, network)
    hold = HoldActions(host, network, RealClock(), settings.undo_seconds)
    host.background(hold.run)
    routers, pages = _pages(host, settings, service, hold, categories)
    return build_app(host, routers, pages, authenticator=development_authenticator(settings))


def _pages(
    host: ServiceHost,
    settings: DispatchSettings,
    service: CaseService,
    hold: HoldActions,
    categories: Categories,
) -> tuple[Sequence[APIRouter], Pages]:
    """The API and the pages of staff."""
    key = settings.service_key.get_secret_value()
    vault = VaultClient(ServiceClient(settings.intake_internal_url, key))
    messages = CaseMessagesClient(ServiceClient(settings.notify_internal_url, key))
    pages = pages_for(settings, NAME, static_path="/work/static")
    changes = LiveChanges(LookForChanges(host))
    host.background(changes.run)
    host.when_told_to_stop(changes.end)
    view = CaseView(host, service, vault, messages, hold, pages, categories)
    case_pages = CasePages(service, view, pages)
    worklist = Worklist(host, service, view, hold, pages)
    centre = CentrePages(host, service, CaseList(host, vault), hold, view, pages, categories)
    live = LiveEvents(host, service, hold, centre, changes, RealClock())
    asking = Asking(host, service, categories, vault)
    routers = (
        api_router(service, asking),
        centre_router(centre, live, pages),
        worklist_router(worklist, live),
        sign_in_router(
            LeadLinks(settings.token_key, settings.token_old_keys), settings.token_key, RealClock()
        ),
        actions_router(Actions(asking, service, hold, vault, centre, worklist, case_pages)),
        case_router(case_pages),
    )
    return routers, pages


def main() -> None:
    """Run until told to stop."""
    settings = DispatchSettings()
    serve(create_app(settings), NAME, settings)
