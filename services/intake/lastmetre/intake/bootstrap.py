"""Puts intake together."""

from datetime import timedelta
from functools import partial
from secrets import token_urlsafe

from fastapi import APIRouter, FastAPI

from lastmetre.common.contact import ContactCheck
from lastmetre.common.contracts.topics import REPORTS
from lastmetre.common.security.access_tokens import AccessTokenSigner
from lastmetre.common.security.lead_links import LeadLinks
from lastmetre.common.service.app import (
    authenticator_of,
    build_app,
    pages_for,
)
from lastmetre.common.service.clock import RealClock, city_time
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.serving import serve
from lastmetre.common.tables.categories import read_categories
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.live_changes import LiveChanges
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.intake.adapters.channel_topics import ChannelTopics
from lastmetre.intake.adapters.edge_producer import EdgeProducer
from lastmetre.intake.adapters.openid_provider import OpenIdProvider
from lastmetre.intake.adapters.photo_store import StoreAway
from lastmetre.intake.adapters.settings_files import (
    channel_keys,
    mapping_readers,
    partner_topics,
    read_category_codes,
    read_role_mapping,
)
from lastmetre.intake.adapters.vault_cipher import CannotOpen, EncryptedDeadLetters, Vault
from lastmetre.intake.application.add_to_report import AddToReport
from lastmetre.intake.application.count_attempts import AttemptCounter
from lastmetre.intake.application.find_report import FindReport
from lastmetre.intake.application.follow_report import (
    FollowReport,
    FollowSentReport,
    TellJustSent,
    TellProgress,
)
from lastmetre.intake.application.give_contacts import GiveContacts, KeepLeadContacts
from lastmetre.intake.application.ingest_reports import IngestReports
from lastmetre.intake.application.keep_network import PublishedNetwork
from lastmetre.intake.application.keep_notes import KeepNotes
from lastmetre.intake.application.keep_photos import KeepFormPhotos, KeepPhotos, ShowPhotos
from lastmetre.intake.application.look_up_reports import LookUpReports
from lastmetre.intake.application.pass_on_reports import PassOnReports
from lastmetre.intake.application.read_vault import ReadVault
from lastmetre.intake.application.remove_photos import RemovePhotos
from lastmetre.intake.application.show_report import ShowContact, ShowTexts
from lastmetre.intake.application.sign_in_at_provider import ExchangeToken, SignInAtProvider
from lastmetre.intake.application.sign_in_attempts import SignInAttempts
from lastmetre.intake.application.sign_in_by_password import SignInByPassword
from lastmetre.intake.application.staff_sessions import StaffSessions
from lastmetre.intake.application.submit_form import SubmitForm
from lastmetre.intake.application.submit_reports import SubmitReports
from lastmetre.intake.application.trim_channels import TrimChannels
from lastmetre.intake.application.wall_displays import WallDisplays
from lastmetre.intake.application.watch_reports import WatchReports
from lastmetre.intake.domain.bytes_in_flight import BytesInFlight
from lastmetre.intake.domain.return_address import ReturnAddresses
from lastmetre.intake.domain.submission import OPEN_SENDER
from lastmetre.intake.entrypoints.api.cases import cases_router, sent_reports_router
from lastmetre.intake.entrypoints.api.lookup import lookup_router
from lastmetre.intake.entrypoints.api.notes import notes_router
from lastmetre.intake.entrypoints.api.photos import photos_router
from lastmetre.intake.entrypoints.api.sign_in import AtProviderUses, sign_in_api_router
from lastmetre.intake.entrypoints.api.vault import VaultUses, vault_router
from lastmetre.intake.entrypoints.consumers import Consumers
from lastmetre.intake.entrypoints.edge.application import ChannelsApplication
from lastmetre.intake.entrypoints.web.live import ProgressEvents
from lastmetre.intake.entrypoints.web.network import Network
from lastmetre.intake.entrypoints.web.password import PasswordPages, password_router
from lastmetre.intake.entrypoints.web.photos import PhotoPages, photo_router
from lastmetre.intake.entrypoints.web.progress import (
    ProgressPages,
    ProgressUses,
    progress_router,
)
from lastmetre.intake.entrypoints.web.report import ReportPages, report_router
from lastmetre.intake.entrypoints.web.sign_in import SignInPages, SignInUses, sign_in_router
from lastmetre.intake.entrypoints.web.wall_displays import WallDisplayPages, wall_display_router
from lastmetre.intake.settings import IntakeSettings


def build(settings: IntakeSettings) -> FastAPI:
    """The service; raises OSError or ValueError for files that cannot be read, and StoreAway for a
    photo store that is not there."""
    vault = settings.vault()
    host = ServiceHost("intake", settings, sends_to=[REPORTS], cipher=EncryptedDeadLetters(vault))
    categories = read_categories(settings.categories_file)
    check = ContactCheck(settings.phone_region)
    ingest = IngestReports(
        links=host.links,
        identities=host.identities,
        vault=vault,
        categories=read_category_codes(settings.category_map_file, categories),
        check=check,
        places=settings.places_in_words(),
        city_time=partial(city_time, host.clock),
    )
    topics = ChannelTopics(settings.kafka, settings.topic_prefix)
    host.background(TrimChannels(host, settings, topics).run)
    in_flight = BytesInFlight(settings.bytes_in_flight, OPEN_SENDER)
    submit = _submit_reports(host, settings, in_flight)
    partners = partner_topics(settings.partner_topics_file, settings.mappings_folder)
    Consumers(ingest, PassOnReports(submit, partners)).join(host)
    keys = channel_keys(settings.channel_keys_file)
    readers = mapping_readers(settings.mappings_folder, [each.mapping for each in keys.values()])
    authenticator = authenticator_of(settings, channel_keys=keys)
    read = ReadVault(host, vault, check)
    follow = FollowReport(host)
    pages = pages_for(settings, "intake", static_path="/report/static")
    network = Network(PublishedNetwork(host))
    attempts = AttemptCounter(lambda: host.pool, vault.fingerprint, RealClock())
    limits = settings.public_limits()
    submit_form = SubmitForm(host, submit, vault, check, attempts, limits)
    just_sent = TellJustSent(follow, read)
    store = settings.photo_store()
    keep_photos = KeepPhotos(host, store, vault) if store else None
    if store:
        host.background(RemovePhotos(host, store).run)
    photos = PhotoPages(
        host.links,
        KeepFormPhotos(keep_photos, attempts, limits) if keep_photos else None,
        ShowPhotos(host, store, vault),
    )
    uses = ProgressUses(
        FindReport(host, read, attempts, limits),
        follow,
        TellProgress(host, read),
        AddToReport(host, submit),
    )
    changes = LiveChanges(WatchReports(host))
    host.background(changes.run)
    host.when_told_to_stop(changes.end)
    vault_uses = VaultUses(
        GiveContacts(host, read, vault, check),
        ShowTexts(read),
        ShowContact(host, read),
        KeepLeadContacts(host, vault, check),
    )
    return build_app(
        host,
        [
            cases_router(host.links, follow),
            sent_reports_router(FollowSentReport(host, submit)),
            report_router(
                ReportPages(
                    host.links, pages, network, categories, check, submit_form, just_sent, photos
                )
            ),
            photos_router(host.links, keep_photos),
            photo_router(photos),
            *_sign_in_routers(host, settings, pages, vault, attempts),
            progress_router(
                ProgressPages(host, pages, network, categories, uses, photos),
                ProgressEvents(changes, RealClock(), settings.progress_streams),
            ),
        ],
        pages,
        authenticator=authenticator,
        internal=[
            vault_router(vault_uses),
            notes_router(KeepNotes(host, vault)),
            lookup_router(LookUpReports(host)),
        ],
        edge=ChannelsApplication(submit, in_flight, settings, check, authenticator, readers),
        foreseen={CannotOpen: _closed_vault, StoreAway: _closed_vault},
    )


def _sign_in_routers(
    host: ServiceHost,
    settings: IntakeSettings,
    pages: Pages,
    vault: Vault,
    attempts: AttemptCounter,
) -> list[APIRouter]:
    clock, base = RealClock(), settings.sign_in_base
    signer = AccessTokenSigner(settings.access_key)
    lifetime = timedelta(seconds=settings.access_seconds)
    sessions = StaffSessions(
        lambda: host.pool, signer, clock, settings.lifetimes(), lifetime, token_urlsafe
    )
    displays = WallDisplays(lambda: host.pool, sessions, clock, token_urlsafe)
    at_provider = None
    if settings.oidc_roles_file is not None:
        provider = OpenIdProvider(
            settings.oidc_issuer,
            settings.oidc_client_id,
            settings.oidc_client_secret.get_secret_value() or None,
            audience=settings.oidc_audience,
            scopes=settings.oidc_scopes,
            clock=clock,
        )
        mapping = read_role_mapping(settings.oidc_roles_file)
        at_provider = AtProviderUses(
            SignInAtProvider(provider, mapping, base, token_urlsafe),
            ExchangeToken(provider, mapping, signer, clock, lifetime),
        )
    addresses = ReturnAddresses([base, *settings.public_urls.values()])
    # Links of before were sealed with the key of development tokens.
    before = [settings.token_key] if settings.token_key else []
    lead_links = LeadLinks(
        settings.link_key, [*settings.link_old_keys, *before, *settings.token_old_keys]
    )
    sign_in_attempts = SignInAttempts(attempts, settings.sign_in_limits())
    by_password = None
    if settings.with_passwords:
        limits = settings.password_limits()
        by_password = SignInByPassword(lambda: host.pool, vault, attempts, limits, clock)
    sign_in_pages = SignInPages(
        pages,
        addresses,
        SignInUses(
            sessions,
            at_provider.sign_in if at_provider else None,
            settings.with_passwords,
            lead_links,
            sign_in_attempts,
            clock,
        ),
    )
    return [
        sign_in_router(sign_in_pages),
        password_router(PasswordPages(sign_in_pages, by_password)),
        sign_in_api_router(sessions, at_provider, sign_in_attempts),
        wall_display_router(
            WallDisplayPages(pages, sessions, displays, sign_in_attempts, settings.sign_in_base)
        ),
    ]


def _submit_reports(
    host: ServiceHost, settings: IntakeSettings, in_flight: BytesInFlight
) -> SubmitReports:
    producer = EdgeProducer(
        settings.kafka,
        prefix=settings.topic_prefix,
        in_flight=in_flight,
        within=settings.acknowledge_within,
    )
    host.background(producer.run, needs_database=False)
    host.serves_when(lambda: [reason] if (reason := producer.not_acknowledging) else [])
    return SubmitReports(
        producer,
        links=host.links,
        identities=host.identities,
        clock=host.clock,
        public_url=settings.intake_public_url,
    )


def _closed_vault(_: Exception) -> Problem:
    return Problem(503, "/problems/vault", N_("Not available for a moment"))


def main() -> None:
    """Run intake until it is told to stop."""
    settings = IntakeSettings()
    serve(build(settings), "intake", settings)
