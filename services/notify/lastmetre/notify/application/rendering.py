"""A message that is due becomes what goes out: its address, its provider, its words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

import structlog
from jinja2 import TemplateError

from lastmetre.common.contracts.base import Language
from lastmetre.common.contracts.vault import Contact, Contacts
from lastmetre.common.telemetry.logs import of_case
from lastmetre.common.telemetry.traces import TRACES
from lastmetre.notify.adapters.postgres.sending import Due
from lastmetre.notify.adapters.texts import Texts
from lastmetre.notify.adapters.vault import Vault
from lastmetre.notify.domain.messages import lead_of
from lastmetre.notify.domain.provider import OutboundMessage, Provider

log = structlog.get_logger()


class RenderedMessage(NamedTuple):
    """A message as it goes out, and the provider that is to send it."""

    message: Due
    outbound: OutboundMessage
    provider: Provider


class Undeliverable(NamedTuple):
    """A message that can never be delivered, and why."""

    message: Due
    error: str


@dataclass(frozen=True, slots=True)
class ProviderRouting:
    """Which provider carries what: phone numbers by `phone`, e-mail by `email`."""

    phone: Provider
    email: Provider

    @property
    def all(self) -> list[Provider]:
        """Every provider, each once."""
        return [self.phone] if self.phone is self.email else [self.phone, self.email]

    def of(self, contact: Contact) -> tuple[Provider, str] | None:
        """How to reach somebody, a phone before e-mail; None if there is no way."""
        if contact.phone:
            return self.phone, contact.phone
        if contact.email:
            return self.email, contact.email
        return None


class MessageRenderer:
    """Asks the vault for addresses and renders messages. `zone` is the city's: it makes the day."""

    def __init__(
        self, vault: Vault, routing: ProviderRouting, texts: Texts, zone: ZoneInfo
    ) -> None:
        self._vault = vault
        self._routing = routing
        self._texts = texts
        self._zone = zone

    async def render(
        self, messages: Sequence[Due]
    ) -> tuple[list[RenderedMessage], list[Undeliverable]]:
        """These messages as they go out; raises VaultAway."""
        leads = {lead_id for m in messages if (lead_id := lead_of(m.recipient)) is not None}
        reports = {m.report_id for m in messages if lead_of(m.recipient) is None}
        with TRACES.batch("ask for addresses", "internal", (m.traceparent for m in messages)):
            contacts = await self._vault.contacts(reports, leads)
        rendered: list[RenderedMessage] = []
        undeliverable: list[Undeliverable] = []
        for message in messages:
            contact = _contact(message, contacts)
            made = (
                Undeliverable(message, "contact_unreadable")
                if contact is None and _is_unreadable(message, contacts)
                else self._render(message, contact)
            )
            if isinstance(made, RenderedMessage):
                rendered.append(made)
            else:
                undeliverable.append(made)
        return rendered, undeliverable

    def _render(self, message: Due, contact: Contact | None) -> RenderedMessage | Undeliverable:
        route = self._routing.of(contact) if contact else None
        if contact is None or route is None:
            return Undeliverable(message, "no_address")
        provider, address = route
        language = contact.language or Language(message.language)
        try:
            subject, body = self._texts.write(message, language)
        except TemplateError as error:
            about = of_case(message.case_id, message.traceparent)
            what = {"kind": message.kind, "error": type(error).__name__}
            log.error("text cannot be written", **what, **about)
            return Undeliverable(message, "text_cannot_be_written")
        outbound = OutboundMessage(
            case_id=message.case_id,
            number=message.number,
            seq=message.seq,
            recipient=message.recipient,
            kind=message.kind,
            language=language,
            address=address,
            day=message.occurred_at.astimezone(self._zone).date(),
            subject=subject,
            body=body,
            attempt=message.claimed.attempts,
            traceparent=message.traceparent,
            again=message.again,
        )
        return RenderedMessage(message, outbound, provider)


def _is_unreadable(message: Due, contacts: Contacts) -> bool:
    """Whether the vault has the contact, and cannot open it."""
    lead_id = lead_of(message.recipient)
    if lead_id is None:
        return message.report_id in contacts.unreadable_reports
    return lead_id in contacts.unreadable_leads


def _contact(message: Due, contacts: Contacts) -> Contact | None:
    lead_id = lead_of(message.recipient)
    if lead_id is None:
        return contacts.reports.get(message.report_id)
    return contacts.leads.get(lead_id)
