"""The vault for services: each route is open to the one that needs it.

What a person reads is noted one by one (`contact_look`), what services have opened is counted.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Response

from lastmetre.common.contact import ContactCheck, Reachable, masked_phone
from lastmetre.common.contracts.base import Language
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.contracts.vault import (
    VAULT_PREFIX,
    Contact,
    ContactAsked,
    ContactInFull,
    Contacts,
    ContactsAsked,
    LeadContactsKept,
    LeadContactsSent,
    LeadRemark,
    ReportAddition,
    ReportText,
    ReportTexts,
    TextsAsked,
)
from lastmetre.common.security import security_log
from lastmetre.common.security.access import CallingService, GuardedRoute, ServiceKey, allow
from lastmetre.common.security.callers import Role
from lastmetre.common.service.clock import city_time
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.telemetry import metrics
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.intake.adapters.postgres import leads, reports
from lastmetre.intake.adapters.postgres.pool import connected
from lastmetre.intake.adapters.vault_cipher import (
    CannotOpen,
    Vault,
    open_conflict,
)
from lastmetre.intake.application.open_vault import belongs_to, opened
from lastmetre.intake.domain.additions import Addition, addition_of
from lastmetre.intake.domain.vault_entries import LeadContact, VaultEntry

log = structlog.get_logger()


async def _private(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


PRIVATE: Final = Depends(_private)
"""What is answered is kept nowhere."""


class VaultService:
    """Opens what the vault holds, for many at once."""

    def __init__(self, host: ServiceHost, vault: Vault, check: ContactCheck) -> None:
        self._host = host
        self._vault = vault
        self._check = check
        for kind in ("report", "lead"):
            metrics.VAULT_DAMAGED.labels(kind)

    def ways(self, kept: VaultEntry) -> Reachable:
        """How a reporter can be reached."""
        phone = kept.usable_phone
        takes_texts = phone is not None and self._check.takes_texts(phone)
        return Reachable(phone, kept.usable_email, takes_texts)

    async def kept(self, report_ids: list[UUID]) -> dict[UUID, VaultEntry]:
        """What was typed into these reports."""
        async with connected(self._host.pool) as connection:
            sealed = await reports.sealed_of(connection, report_ids)
            bodies, _ = await opened(connection, self._vault, sealed)
        return _entries(bodies)

    async def additions(self, kept: Mapping[UUID, VaultEntry]) -> dict[UUID, list[Addition]]:
        """What reporters sent later, oldest first; the same twice counts once."""
        async with connected(self._host.pool) as connection:
            later = await reports.conflicts(connection, list(kept))
        found: dict[UUID, dict[bytes, Addition]] = defaultdict(dict)
        for each in sorted(later, key=lambda each: each.place.appended_at):
            if each.sealed is not None and (body := self._later_body(each.sealed, each.report_id)):
                first = kept[each.report_id]
                appended_at = datetime.fromtimestamp(each.place.appended_at / 1000, UTC)
                addition = addition_of(
                    ReportSubmitted.from_json(body),
                    city_time(self._host.clock, appended_at),
                    text=first.text,
                    address=first.address,
                )
                found[each.report_id].setdefault(body, addition)
        return {report_id: list(of_report.values()) for report_id, of_report in found.items()}

    def _later_body(self, sealed: bytes, report_id: UUID) -> bytes | None:
        """What was sent later; None, which is told in log and figures, where it is damaged."""
        try:
            return open_conflict(self._vault, sealed, report_id)
        except CannotOpen:
            metrics.VAULT_DAMAGED.labels("report").inc()
            log.error("a row of the vault is damaged", kind="later record", id=str(report_id))
            return None

    async def contacts(self, asked: ContactsAsked) -> Contacts:
        """Usable ways to reach reporters and leads."""
        async with connected(self._host.pool) as connection:
            of_reports = await reports.sealed_of(connection, asked.report_ids)
            bodies, damaged = await opened(connection, self._vault, of_reports)
            of_leads = await leads.sealed_of(connection, asked.lead_ids)
            lead_bodies, damaged_leads = await opened(connection, self._vault, of_leads)
        security_log.opened("notify", "contact", len(bodies) + len(lead_bodies))
        kept = _entries(bodies)
        return Contacts(
            reports={
                report_id: _for_messages(self.ways(each), each.language)
                for report_id, each in kept.items()
            },
            leads={lead_id: self._lead(each) for lead_id, each in lead_bodies.items()},
            unreadable_reports=damaged,
            unreadable_leads=damaged_leads,
        )

    def _lead(self, body: bytes) -> Contact:
        kept = LeadContact.model_validate_json(body)
        return _for_messages(self._check.usable(kept.phone, kept.email), kept.language)

    async def texts(self, asked: TextsAsked) -> ReportTexts:
        """What reporters wrote, with as much of their phone as tells one from another."""
        kept = await self.kept(asked.report_ids)
        security_log.opened("dispatch", "text", len(kept))
        added = await self.additions(kept)
        return ReportTexts(
            reports={
                report_id: ReportText(
                    text=each.text,
                    address=each.address,
                    phone_masked=(
                        masked_phone(each.usable_phone or each.phone) if each.phone else None
                    ),
                    reachable=bool(self.ways(each)),
                    accuracy_metres=each.accuracy_metres,
                    additions=[
                        ReportAddition(
                            added_at=addition.added_at,
                            text=addition.text,
                            address=addition.address,
                            otherwise=addition.otherwise,
                        )
                        for addition in added.get(report_id, ())
                    ],
                )
                for report_id, each in kept.items()
            }
        )

    async def read_contact(self, asked: ContactAsked, caller: str) -> ContactInFull:
        """A contact in full, once it is noted who reads it. Raises Problem 404."""
        async with connected(self._host.pool) as connection:
            sealed = await reports.sealed_of(connection, [asked.report_id])
            if not sealed:
                raise Problem(404, "about:blank", N_("There is nothing here"))
            await reports.note_contact_read(
                connection, asked.report_id, asked.actor, caller, self._host.clock.now()
            )
        log.info("contact read", report_id=str(asked.report_id), actor=asked.actor, by=caller)
        body = self._vault.open(sealed[asked.report_id], asked.report_id.bytes)
        kept = VaultEntry.model_validate_json(body)
        return ContactInFull(name=kept.name, phone=kept.phone, email=kept.email)

    async def keep_leads(self, sent: LeadContactsSent) -> LeadContactsKept:
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


def vault_router(vault_service: VaultService) -> APIRouter:
    """The same by HTTP."""
    router = APIRouter(prefix=VAULT_PREFIX, route_class=GuardedRoute, tags=["vault"])

    @router.post("/contacts", dependencies=[*allow(ServiceKey("notify")), PRIVATE])
    async def contacts(asked: ContactsAsked) -> Contacts:
        """Usable ways to reach reporters and leads."""
        return await vault_service.contacts(asked)

    @router.post("/texts", dependencies=[*allow(ServiceKey("dispatch")), PRIVATE])
    async def texts(asked: TextsAsked) -> ReportTexts:
        """What reporters wrote."""
        return await vault_service.texts(asked)

    @router.post("/contacts/look", dependencies=[*allow(ServiceKey("dispatch")), PRIVATE])
    async def read_contact(asked: ContactAsked, caller: CallingService) -> ContactInFull:
        """A contact as it was typed; who reads it is noted."""
        return await vault_service.read_contact(asked, caller.actor)

    @router.put(
        "/lead-contacts",
        dependencies=[*allow(Role.ADMINISTRATOR), PRIVATE],
        response_model_exclude_none=True,
    )
    async def lead_contacts(sent: LeadContactsSent) -> LeadContactsKept:
        """Keep the leads' contacts."""
        return await vault_service.keep_leads(sent)

    return router


def _entries(bodies: Mapping[UUID, bytes]) -> dict[UUID, VaultEntry]:
    return {each: VaultEntry.model_validate_json(body) for each, body in bodies.items()}


def _for_messages(ways: Reachable, language: Language) -> Contact:
    """Where messages go: a number that receives none is for people to call."""
    phone = ways.phone if ways.takes_texts else None
    return Contact(phone=phone, email=ways.email, language=language)
