"""Notify, put together: `python -m lastmetre.notify`."""

import random
from datetime import timedelta
from functools import partial

from fastapi import FastAPI

from lastmetre.common.security.lead_links import LeadLinks
from lastmetre.common.service.app import (
    authenticator_of,
    build_app,
    pages_for,
)
from lastmetre.common.service.clock import RealClock
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.serving import serve
from lastmetre.common.tables.categories import read_categories
from lastmetre.common.telemetry import metrics
from lastmetre.notify.adapters.attempt_log import KafkaAttemptLog
from lastmetre.notify.adapters.folder import FolderProvider
from lastmetre.notify.adapters.postgres.message_queue import sending_session
from lastmetre.notify.adapters.sink import SinkProvider
from lastmetre.notify.adapters.smtp import SmtpProvider, SmtpServer
from lastmetre.notify.adapters.texts import Texts
from lastmetre.notify.adapters.vault import Vault
from lastmetre.notify.application.ask_for_messages import AskForMessages
from lastmetre.notify.application.case_messages import ListMessages, ReadMessages
from lastmetre.notify.application.gauges import MessageGauges
from lastmetre.notify.application.ratings import AskReopening, FindRating, GiveRating, Ratings
from lastmetre.notify.application.read_log import ReadLog
from lastmetre.notify.application.rendering import MessageRenderer, ProviderRouting
from lastmetre.notify.application.results import Backoff, PostgresResults
from lastmetre.notify.application.send_again import FindMessage, SendAgain
from lastmetre.notify.application.sender import Sender
from lastmetre.notify.application.try_message import NothingLogged, TryMessage
from lastmetre.notify.domain.provider import AttemptLog, Provider
from lastmetre.notify.entrypoints.api import api_router, internal_router
from lastmetre.notify.entrypoints.consumers import SENDS_TO, Consumers
from lastmetre.notify.entrypoints.web.log_pages import AgainPages, LogPages, log_router
from lastmetre.notify.entrypoints.web.rating_pages import RatingPages, rating_router
from lastmetre.notify.settings import NotifySettings

NAME = "notify"


def create_app(settings: NotifySettings) -> FastAPI:
    """The application of one notify process."""
    host = ServiceHost(NAME, settings, sends_to=SENDS_TO)
    attempts = KafkaAttemptLog(settings.kafka, settings.topic_prefix, host.clock)
    texts = build_texts(host, settings)
    vault = Vault(settings.intake_internal_url, settings.service_key.get_secret_value())
    sender = build_sender(host, settings, attempts, texts, vault)
    Consumers(AskForMessages(host.identities, RealClock(), sender.wake)).join(host)
    host.background(sender.run)
    if settings.smtp_host:
        host.background(attempts.run, needs_database=False)
    host.watch("sender", sender.health)
    host.background(MessageGauges(host, RealClock()).run)
    pages = pages_for(settings, NAME, static_path="/rate/static")
    categories = read_categories(settings.categories_file)
    ratings = Ratings(FindRating(host), GiveRating(host), AskReopening(host))
    list_messages = ListMessages(host)
    read_messages = ReadMessages(list_messages, vault, texts)
    send_again = SendAgain(host, RealClock(), sender.wake)
    again_pages = AgainPages(host, FindMessage(host), read_messages, send_again, pages)
    try_message = TryMessage(build_routing(settings, NothingLogged()), RealClock())
    routers = (
        api_router(list_messages, send_again, ratings),
        rating_router(RatingPages(host, ratings, pages, categories), pages),
        log_router(LogPages(host, ReadLog(host), pages), again_pages),
    )
    return build_app(
        host,
        routers,
        pages,
        authenticator=authenticator_of(settings),
        internal=[internal_router(read_messages, try_message)],
    )


def build_texts(host: ServiceHost, settings: NotifySettings) -> Texts:
    """The words of messages, with links to our pages."""
    return Texts(
        host.links,
        LeadLinks(settings.link_key),
        {
            "intake": settings.intake_public_url,
            "dispatch": settings.dispatch_public_url,
            "notify": settings.notify_public_url,
        },
        read_categories(settings.categories_file),
        RealClock(),
    )


def build_sender(
    host: ServiceHost, settings: NotifySettings, attempts: AttemptLog, texts: Texts, vault: Vault
) -> Sender:
    """The sender with its providers, as configured."""
    routing = build_routing(settings, attempts)
    metrics.messages_from_the_start([each.name for each in routing.all])
    backoff = Backoff(settings.retry_first, settings.retry_longest)
    return Sender(
        partial(sending_session, settings.database_url.get_secret_value(), host.connection_check),
        PostgresResults(host, RealClock(), backoff),
        MessageRenderer(vault, routing, texts, settings.city_time_zone),
        routing,
        RealClock(),
        expire_after=timedelta(seconds=settings.expire_after),
        jitter=random.random,
    )


def build_routing(settings: NotifySettings, attempts: AttemptLog) -> ProviderRouting:
    """Phones by the provider that is set; e-mail by SMTP if there is a server, else with them."""
    phone: Provider = (
        SinkProvider() if settings.provider == "sink" else FolderProvider(settings.outbox_directory)
    )
    if not settings.smtp_host:
        return ProviderRouting(phone, phone)
    server = SmtpServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=settings.smtp_from,
        starttls=settings.smtp_starts_tls,
        implicit_tls=settings.smtp_implicit_tls,
        user=settings.smtp_user,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        timeout=settings.smtp_timeout,
    )
    return ProviderRouting(phone, SmtpProvider(server, RealClock(), attempts))


def main() -> None:
    """Run until told to stop."""
    settings = NotifySettings()
    serve(create_app(settings), NAME, settings)
