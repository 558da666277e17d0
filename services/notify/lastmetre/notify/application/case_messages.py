"""The messages about a case, with and without their words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog
from jinja2 import TemplateError

from lastmetre.common.contact import masked_email, masked_phone
from lastmetre.common.contracts.base import Actor, Language
from lastmetre.common.contracts.case_messages import CaseMessageText
from lastmetre.common.contracts.vault import Contact, Contacts
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.service.host import ServiceHost
from lastmetre.notify.adapters.postgres import message_log
from lastmetre.notify.adapters.texts import Texts
from lastmetre.notify.adapters.vault import Vault, VaultAway
from lastmetre.notify.domain.messages import lead_of, recipient_kind
from lastmetre.notify.domain.stored_messages import StoredMessage

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Pool

log = structlog.get_logger()

NO_CONTACT: Final = Contact()


class ListMessages:
    """What became of the messages about a case."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host

    @property
    def _pool(self) -> "Pool":
        return self._host.pool

    async def __call__(self, case_id: UUID) -> list[StoredMessage]:
        """Every message about a case, in the order of its events."""
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return await message_log.messages_of(connection, case_id)


class ReadMessages:
    """Reads a case's messages and writes their words anew, as they were sent, without the links."""

    def __init__(self, list_messages: ListMessages, vault: Vault, texts: Texts) -> None:
        self._list_messages = list_messages
        self._vault = vault
        self._texts = texts

    async def __call__(self, case_id: UUID) -> list[CaseMessageText]:
        """Every message about a case, in the order of its events."""
        return await self.with_words(await self._list_messages(case_id))

    async def with_words(self, stored: Sequence[StoredMessage]) -> list[CaseMessageText]:
        """These messages with their words."""
        contacts = await self._contacts(stored)
        return [self._with_text(message, contacts) for message in stored]

    async def _contacts(self, stored: Sequence[StoredMessage]) -> Contacts | None:
        leads = {lead for each in stored if (lead := lead_of(each.recipient)) is not None}
        reports = {each.report_id for each in stored if lead_of(each.recipient) is None}
        try:
            return await self._vault.contacts(reports, leads)
        except VaultAway as error:
            log.warning("addresses cannot be had", error=str(error))
            return None

    def _with_text(self, message: StoredMessage, contacts: Contacts | None) -> CaseMessageText:
        lead_id = lead_of(message.recipient)
        contact = NO_CONTACT
        if contacts is not None:
            found = (
                contacts.leads.get(lead_id) if lead_id else contacts.reports.get(message.report_id)
            )
            contact = found or NO_CONTACT
        language = contact.language or Language(message.language)
        return CaseMessageText(
            seq=message.seq,
            kind=message.kind,
            recipient=recipient_kind(message.recipient),
            lead_id=lead_id,
            state=message.state,
            provider=message.provider,
            attempts=message.attempts,
            error=message.error,
            occurred_at=message.occurred_at,
            address_masked=_masked(contact),
            text=None if contacts is None else self._text(message, language),
            message_id=message.first_id,
            asked_by=_actor(message.again.actor) if message.again else None,
            can_be_sent_again=message.can_be_sent_again,
        )

    def _text(self, message: StoredMessage, language: Language) -> str | None:
        try:
            return self._texts.write_without_links(message, language)[1]
        except TemplateError as error:
            log.error("text cannot be written", kind=message.kind, error=type(error).__name__)
            return None


def _actor(actor: Actor) -> str:
    return f"{actor.role.value}:{actor.id}" if actor.id else actor.role.value


def _masked(contact: Contact) -> str | None:
    """Where the message goes, a phone before e-mail."""
    if contact.phone:
        return masked_phone(contact.phone)
    return masked_email(contact.email) if contact.email else None
