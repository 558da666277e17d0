"""Ways to reach reporters and leads: kept, and given to whoever sends messages."""

from lastmetre.common.contact import ContactCheck, Reachable
from lastmetre.common.contracts.base import Language
from lastmetre.common.contracts.vault import (
    Contact,
    Contacts,
    ContactsAsked,
    LeadContactsKept,
    LeadContactsSent,
    LeadRemark,
)
from lastmetre.common.security import security_log
from lastmetre.common.service.host import ServiceHost
from lastmetre.intake.adapters.postgres import leads
from lastmetre.intake.adapters.postgres.pool import connected
from lastmetre.intake.adapters.vault_cipher import Vault
from lastmetre.intake.application.open_vault import belongs_to, opened
from lastmetre.intake.application.read_vault import ReadVault
from lastmetre.intake.domain.vault_entries import LeadContact


class GiveContacts:
    """For notify: only what messages can be sent to."""

    def __init__(
        self, host: ServiceHost, read: ReadVault, vault: Vault, check: ContactCheck
    ) -> None:
        self._host = host
        self._read = read
        self._vault = vault
        self._check = check

    async def __call__(self, asked: ContactsAsked) -> Contacts:
        """Of whom is asked. Raises CannotOpen where a key is missing."""
        kept, damaged = await self._read.kept_and_damaged(asked.report_ids)
        of_leads, damaged_leads = await self._leads(asked.lead_ids)
        security_log.opened("notify", "contact", len(kept) + len(of_leads))
        return Contacts(
            reports={
                report_id: _for_messages(self._read.ways(each), each.language)
                for report_id, each in kept.items()
            },
            leads={
                lead_id: _for_messages(self._check.usable(each.phone, each.email), each.language)
                for lead_id, each in of_leads.items()
            },
            unreadable_reports=damaged,
            unreadable_leads=damaged_leads,
        )

    async def _leads(self, lead_ids: list[str]) -> tuple[dict[str, LeadContact], list[str]]:
        async with connected(self._host.pool) as connection:
            sealed = await leads.sealed_of(connection, lead_ids)
            bodies, damaged = await opened(connection, self._vault, sealed)
        found = {each: LeadContact.model_validate_json(body) for each, body in bodies.items()}
        return found, damaged


class KeepLeadContacts:
    """In the vault, under the lead's id."""

    def __init__(self, host: ServiceHost, vault: Vault, check: ContactCheck) -> None:
        self._host = host
        self._vault = vault
        self._check = check

    async def __call__(self, sent: LeadContactsSent) -> LeadContactsKept:
        """Keep the leads' contacts, of one sent twice the last, and say what is of no use."""
        remarks = [
            LeadRemark(lead_id=each.lead_id, field=remark.field, message=remark.message)
            for each in sent.contacts
            for remark in self._check.remarks(each.phone, each.email)
        ]
        if sent.dry_run:
            return LeadContactsKept(kept=0, remarks=remarks or None)
        rows = {
            each.lead_id: self._vault.seal(
                LeadContact(phone=each.phone, email=each.email, language=each.language).to_json(),
                belongs_to(each.lead_id),
            )
            for each in sent.contacts
        }
        async with connected(self._host.pool) as connection:
            await leads.put(connection, list(rows.items()), self._host.clock.now())
        return LeadContactsKept(kept=len(rows), remarks=remarks or None)


def _for_messages(ways: Reachable, language: Language) -> Contact:
    """Where messages go: a number that receives none is for people to call."""
    phone = ways.phone if ways.takes_texts else None
    return Contact(phone=phone, email=ways.email, language=language)
