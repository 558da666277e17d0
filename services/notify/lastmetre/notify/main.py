"""Notify, put together: `python -m lastmetre.notify`."""

from datetime import timedelta

from fastapi import FastAPI

from lastmetre.common.categories import read_categories
from lastmetre.common.contracts.topics import FEEDBACK, NOTIFY_DELIVERIES
from lastmetre.common.service.app import build_app, pages_for, serve
from lastmetre.common.service.clock import RealClock
from lastmetre.common.service.host import ServiceHost
from lastmetre.notify.api import api_router
from lastmetre.notify.consumers import Consumers
from lastmetre.notify.ratings import Ratings
from lastmetre.notify.sending.folder import FolderProvider
from lastmetre.notify.sending.letters import Provider
from lastmetre.notify.sending.outgoing import Ways, Writer
from lastmetre.notify.sending.sender import Sender
from lastmetre.notify.sending.settler import Backoff
from lastmetre.notify.sending.sink import SinkProvider
from lastmetre.notify.sending.smtp import SmtpProvider, SmtpServer
from lastmetre.notify.sending.texts import Texts
from lastmetre.notify.sending.vault import Vault
from lastmetre.notify.settings import NotifySettings
from lastmetre.notify.web.pages import pages_router

NAME = "notify"


def create_app(settings: NotifySettings) -> FastAPI:
    """The application of one notify process."""
    runtime = ServiceHost(NAME, settings, sends_to=(NOTIFY_DELIVERIES, FEEDBACK))
    sender = build_sender(runtime, settings)
    Consumers(runtime, RealClock(), sender.wake)
    runtime.background(sender.run)
    ratings = Ratings(runtime)
    pages = pages_for(settings, NAME, static_path="/rate/static")
    routers = (api_router(runtime), pages_router(runtime, ratings, pages))
    return build_app(runtime, routers, pages)


def build_sender(runtime: ServiceHost, settings: NotifySettings) -> Sender:
    """The sender with its providers, as configured."""
    ways = build_ways(settings)
    texts = Texts(
        runtime.links,
        {
            "intake": settings.intake_public_url,
            "dispatch": settings.dispatch_public_url,
            "notify": settings.notify_public_url,
        },
        read_categories(settings.categories_file),
    )
    vault = Vault(settings.intake_internal_url, settings.service_key.get_secret_value())
    return Sender(
        runtime,
        Writer(vault, ways, texts, settings.city_time_zone),
        ways,
        RealClock(),
        backoff=Backoff(settings.retry_first, settings.retry_longest),
        expire_after=timedelta(seconds=settings.expire_after),
    )


def build_ways(settings: NotifySettings) -> Ways:
    """Phones by the provider that is set; e-mail by SMTP if there is a server, else with them."""
    phone: Provider = (
        SinkProvider() if settings.provider == "sink" else FolderProvider(settings.outbox_directory)
    )
    if not settings.smtp_host:
        return Ways(phone, phone)
    server = SmtpServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=settings.smtp_from,
        starttls=settings.smtp_starttls,
        user=settings.smtp_user,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        timeout=settings.smtp_timeout,
    )
    return Ways(phone, SmtpProvider(server, RealClock()))


def main() -> None:
    """Run until told to stop."""
    settings = NotifySettings()
    serve(create_app(settings), NAME, settings)
