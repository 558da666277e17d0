"""From a message that is due to a letter: whom to write to, by which provider, in which words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

import structlog
from jinja2 import TemplateError

from lastmetre.common.contracts.base import Language
from lastmetre.common.telemetry.logs import of_case
from lastmetre.notify.domain.messages import lead_of
from lastmetre.notify.sending.letters import Letter, Provider
from lastmetre.notify.sending.texts import Texts
from lastmetre.notify.sending.vault import Contact, Contacts, Vault
from lastmetre.notify.store.sending import Due

log = structlog.get_logger()


class Written(NamedTuple):
    """A letter and who is to carry it."""

    message: Due
    letter: Letter
    provider: Provider


class Undeliverable(NamedTuple):
    """A message that can never be delivered, and why."""

    message: Due
    error: str


@dataclass(frozen=True, slots=True)
class Ways:
    """Which provider carries what: phone numbers by `phone`, e-mail by `email`."""

    phone: Provider
    email: Provider

    @property
    def all(self) -> list[Provider]:
        """Every provider, each once."""
        return [self.phone] if self.phone is self.email else [self.phone, self.email]

    def of(self, contact: Contact) -> tuple[Provider, str] | None:
        """The way to reach somebody, a phone before e-mail; None if there is no way."""
        if contact.phone:
            return self.phone, contact.phone
        if contact.email:
            return self.email, contact.email
        return None


class Writer:
    """Asks the vault for addresses and writes letters. `zone` is the city's: it makes the day."""

    def __init__(self, vault: Vault, ways: Ways, texts: Texts, zone: ZoneInfo) -> None:
        self._vault = vault
        self._ways = ways
        self._texts = texts
        self._zone = zone

    async def write(self, messages: Sequence[Due]) -> tuple[list[Written], list[Undeliverable]]:
        """Letters for these messages; raises VaultAway."""
        leads = {lead_id for m in messages if (lead_id := lead_of(m.recipient)) is not None}
        reports = {m.report_id for m in messages if lead_of(m.recipient) is None}
        contacts = await self._vault.contacts(reports, leads)
        written: list[Written] = []
        hopeless: list[Undeliverable] = []
        for message in messages:
            made = self._letter(message, _contact(message, contacts))
            if isinstance(made, Written):
                written.append(made)
            else:
                hopeless.append(made)
        return written, hopeless

    def _letter(self, message: Due, contact: Contact | None) -> Written | Undeliverable:
        way = self._ways.of(contact) if contact else None
        if contact is None or way is None:
            return Undeliverable(message, "no_address")
        provider, address = way
        language = contact.language or Language(message.language)
        try:
            subject, body = self._texts.write(message, language)
        except TemplateError as error:
            about = of_case(message.case_id, message.traceparent)
            what = {"kind": message.kind, "error": type(error).__name__}
            log.error("text cannot be written", **what, **about)
            return Undeliverable(message, "text_cannot_be_written")
        letter = Letter(
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
        )
        return Written(message, letter, provider)


def _contact(message: Due, contacts: Contacts) -> Contact | None:
    lead_id = lead_of(message.recipient)
    if lead_id is None:
        return contacts.reports.get(message.report_id)
    return contacts.leads.get(lead_id)
