"""What a reporter wrote, and who he is, for the staff who work on his case."""

import structlog

from lastmetre.common.contact import masked_phone
from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.vault import (
    ContactAsked,
    ContactInFull,
    ReportAddition,
    Reporter,
    ReportText,
    ReportTexts,
    TextsAsked,
)
from lastmetre.common.security import security_log
from lastmetre.common.service.host import ServiceHost
from lastmetre.intake.adapters.postgres import cases, reports
from lastmetre.intake.adapters.postgres.cases import ReportOfCase
from lastmetre.intake.adapters.postgres.pool import connected
from lastmetre.intake.application.read_vault import ReadVault
from lastmetre.intake.domain.vault_entries import VaultEntry

log = structlog.get_logger()


class ShowTexts:
    """For dispatch, with as much of a phone as tells one reporter from another."""

    def __init__(self, read: ReadVault) -> None:
        self._read = read

    async def __call__(self, asked: TextsAsked) -> ReportTexts:
        """Of the reports that are asked for. Raises CannotOpen where a key is missing."""
        kept = await self._read.kept(asked.report_ids)
        security_log.opened("dispatch", "text", len(kept))
        added = await self._read.additions(kept)
        return ReportTexts(
            reports={
                report_id: ReportText(
                    text=each.shown_text,
                    address=each.shown_address,
                    phone_masked=_masked(each),
                    reachable=bool(self._read.ways(each)),
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


class ShowContact:
    """What a person reads is noted one by one, before he reads it (`contact_look`)."""

    def __init__(self, host: ServiceHost, read: ReadVault) -> None:
        self._host = host
        self._read = read

    async def __call__(self, asked: ContactAsked, caller: str) -> ContactInFull | None:
        """A contact as it was typed, and who else has reported the same; None where the vault has
        nothing of the report. Raises CannotOpen."""
        async with connected(self._host.pool) as connection:
            found = await cases.beside(connection, asked.report_id)
        kept = await self._read.kept([each.report_id for each in found])
        if asked.report_id not in kept:
            return None
        shown = set(kept) if asked.every_reporter else {asked.report_id}
        now = self._host.clock.now()
        async with connected(self._host.pool) as connection:
            await reports.note_contacts_read(connection, shown, asked.actor, caller, now)
        for each in sorted(shown):
            log.info("contact read", report_id=str(each), actor=asked.actor, by=caller)
        entry = kept[asked.report_id]
        return ContactInFull(
            name=entry.name,
            phone=entry.phone,
            email=entry.email,
            reporters=[
                self._reporter(each, kept[each.report_id], shown=each.report_id in shown)
                for each in found
                if each.report_id in kept
            ],
        )

    def _reporter(self, report: ReportOfCase, kept: VaultEntry, *, shown: bool) -> Reporter:
        return Reporter(
            report_id=report.report_id,
            channel=Channel(report.channel),
            reported_at=report.reported_at,
            phone_masked=_masked(kept),
            reachable=bool(self._read.ways(kept)),
            shown=shown,
            name=kept.name if shown else None,
            phone=kept.phone if shown else None,
            email=kept.email if shown else None,
        )


def _masked(kept: VaultEntry) -> str | None:
    """As much of a reporter's phone as tells one from another."""
    return masked_phone(kept.usable_phone or kept.phone) if kept.phone else None
