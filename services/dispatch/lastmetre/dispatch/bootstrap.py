"""Dispatch, put together: `python -m lastmetre.dispatch`."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from fastapi import APIRouter, FastAPI

from lastmetre.common.categories import Categories
from lastmetre.common.contracts.topics import CASE_EVENTS, NETWORK_AREAS
from lastmetre.common.service.app import authenticator_of, build_app, pages_for
from lastmetre.common.service.change_marks import LookForChanges
from lastmetre.common.service.clock import RealClock
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.serving import serve
from lastmetre.common.tables.categories import read_categories
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.live_changes import LiveChanges
from lastmetre.dispatch.adapters.case_messages import CaseMessagesClient
from lastmetre.dispatch.adapters.field_systems_file import read_field_systems
from lastmetre.dispatch.adapters.postgres import held_actions
from lastmetre.dispatch.adapters.service_client import ServiceClient
from lastmetre.dispatch.adapters.vault import VaultClient
from lastmetre.dispatch.application.act_on_case import ActOnCase
from lastmetre.dispatch.application.case_list import CaseList
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.application.execute_commands import ExecuteAction
from lastmetre.dispatch.application.finish_decisions import FinishDecisions
from lastmetre.dispatch.application.finish_merges import FinishMerges
from lastmetre.dispatch.application.handle_requests import HandleRequests
from lastmetre.dispatch.application.hold_actions import HoldActions
from lastmetre.dispatch.application.likely_cases import LikelyCases
from lastmetre.dispatch.application.network_cache import NetworkCache
from lastmetre.dispatch.application.note_viewers import NoteViewers
from lastmetre.dispatch.application.note_words import EraseUnusedNotes, NoteWords
from lastmetre.dispatch.application.refuse_expired import RefuseExpired
from lastmetre.dispatch.application.register_reports import Registrar
from lastmetre.dispatch.application.reserve_numbers import NumberReservations
from lastmetre.dispatch.application.show_cases import ShowCases
from lastmetre.dispatch.domain.likeness import Nearness
from lastmetre.dispatch.entrypoints.api import api_router
from lastmetre.dispatch.entrypoints.consumers import SENDS_TO, CommandReader, Consumers
from lastmetre.dispatch.entrypoints.web.actions import Actions, actions_router
from lastmetre.dispatch.entrypoints.web.case_page import CasePages, case_router
from lastmetre.dispatch.entrypoints.web.case_view import CaseView
from lastmetre.dispatch.entrypoints.web.centre import CentrePages
from lastmetre.dispatch.entrypoints.web.centre_routes import centre_router
from lastmetre.dispatch.entrypoints.web.join import JoinPages, join_router
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
    vault = VaultClient(_client(settings, settings.intake_internal_url))
    Consumers(
        reader,
        HandleRequests(registrar, network, reader.read),
        looks=(
            FinishDecisions(host, network),
            FinishMerges(host, network),
            RefuseExpired(host, network, reader.read),
            EraseUnusedNotes(host, vault, RealClock()),
        ),
    ).join(host)
    routers, pages = _pages(host, settings, network, vault, categories)
    return build_app(host, routers, pages, authenticator=authenticator_of(settings))


def _client(settings: DispatchSettings, base_url: str) -> ServiceClient:
    return ServiceClient(base_url, settings.service_key.get_secret_value())


def _pages(
    host: ServiceHost,
    settings: DispatchSettings,
    network: NetworkCache,
    vault: VaultClient,
    categories: Categories,
) -> tuple[Sequence[APIRouter], Pages]:
    """The API and the pages of staff."""
    clock = RealClock()
    service, execute = CaseService(host, network), ExecuteAction(host, network)
    notes = NoteWords(host, vault, clock)
    hold = HoldActions(host, network, execute, notes, clock, settings.undo_seconds)
    host.background(hold.run)
    act = ActOnCase(host, service, execute, hold, notes, categories)
    messages = CaseMessagesClient(_client(settings, settings.notify_internal_url))
    nearness = Nearness(settings.duplicate_metres, timedelta(hours=settings.duplicate_hours))
    likely = LikelyCases(host, vault, nearness)
    show = ShowCases(service, hold, vault, messages, categories, likely)
    pages = pages_for(settings, NAME, static_path="/work/static")
    changes = LiveChanges(
        LookForChanges(
            host, partial(held_actions.change_mark, topic=CASE_EVENTS), host.relay.missing
        )
    )
    host.background(changes.run)
    host.when_told_to_stop(changes.end)
    view = CaseView(host, show, pages, categories, chosen_from=settings.category_confidence)
    case_pages = CasePages(service, show, view, pages)
    worklist = Worklist(host, service, view, hold, pages)
    centre = CentrePages(host, service, CaseList(host, vault), hold, view, pages, categories)
    live = LiveEvents(service, hold, centre, changes, NoteViewers(host, clock))
    routers = (
        api_router(service, act),
        centre_router(centre, live, pages),
        worklist_router(worklist, live),
        sign_in_router(settings.sign_in_base, settings.dispatch_public_url),
        actions_router(act, Actions(act, hold, centre, worklist, case_pages)),
        case_router(case_pages),
        join_router(JoinPages(host, service, view, likely, pages)),
    )
    return routers, pages


def main() -> None:
    """Run until told to stop."""
    settings = DispatchSettings()
    serve(create_app(settings), NAME, settings)
