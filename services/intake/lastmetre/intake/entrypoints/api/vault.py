"""The vault for services: each route is open to the one that needs it."""

from typing import Final, NamedTuple

from fastapi import APIRouter, Depends, Response

from lastmetre.common.contracts.vault import (
    VAULT_PREFIX,
    ContactAsked,
    ContactInFull,
    Contacts,
    ContactsAsked,
    LeadContactsKept,
    LeadContactsSent,
    ReportTexts,
    TextsAsked,
)
from lastmetre.common.security.access import CallingService, GuardedRoute, ServiceKey, allow
from lastmetre.common.security.callers import Role
from lastmetre.intake.application.give_contacts import GiveContacts, KeepLeadContacts
from lastmetre.intake.application.show_report import ShowContact, ShowTexts
from lastmetre.intake.entrypoints.api.cases import nothing_here


async def _private(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


PRIVATE: Final = Depends(_private)
"""What is answered is kept nowhere."""


class VaultUses(NamedTuple):
    """What may be done with the vault."""

    give_contacts: GiveContacts
    show_texts: ShowTexts
    show_contact: ShowContact
    keep_leads: KeepLeadContacts


def vault_router(vault: VaultUses) -> APIRouter:
    """The routes of `VAULT_PREFIX`."""
    router = APIRouter(prefix=VAULT_PREFIX, route_class=GuardedRoute, tags=["vault"])

    @router.post("/contacts", dependencies=[*allow(ServiceKey("notify")), PRIVATE])
    async def contacts(asked: ContactsAsked) -> Contacts:
        """Usable ways to reach reporters and leads."""
        return await vault.give_contacts(asked)

    @router.post("/texts", dependencies=[*allow(ServiceKey("dispatch")), PRIVATE])
    async def texts(asked: TextsAsked) -> ReportTexts:
        """What reporters wrote."""
        return await vault.show_texts(asked)

    @router.post("/contacts/look", dependencies=[*allow(ServiceKey("dispatch")), PRIVATE])
    async def read_contact(asked: ContactAsked, caller: CallingService) -> ContactInFull:
        """A contact as it was typed; who reads it is noted."""
        found = await vault.show_contact(asked, caller.actor)
        if found is None:
            raise nothing_here()
        return found

    @router.put(
        "/lead-contacts",
        dependencies=[*allow(Role.ADMINISTRATOR), PRIVATE],
        response_model_exclude_none=True,
    )
    async def lead_contacts(sent: LeadContactsSent) -> LeadContactsKept:
        """Keep the leads' contacts."""
        return await vault.keep_leads(sent)

    return router
