"""What a reporter wrote, and who he is, for the staff who work on his case."""

import structlog

from lastmetre.common.contact import masked_phone
from lastmetre.common.contracts.vault import (
    ContactAsked,
    ContactInFull,
    ReportAddition,
    ReportText,
    ReportTexts,
    TextsAsked,
)
from lastmetre.common.security import security_log
from lastmetre.common.service.host import ServiceHost
from lastmetre.intake.adapters.postgres import reports
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
                    text=each.text,
                    address=each.address,
                    phone_masked=masked(each),
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
        """A contact as it was typed; None where the vault has none. Raises CannotOpen."""
        kept = (await self._read.kept([asked.report_id])).get(asked.report_id)
        if kept is None:
            return None
        async with connected(self._host.pool) as connection:
            await reports.note_contact_read(
                connection, asked.report_id, asked.actor, caller, self._host.clock.now()
            )
        log.info("contact read", report_id=str(asked.report_id), actor=asked.actor, by=caller)
        return ContactInFull(name=kept.name, phone=kept.phone, email=kept.email)


def masked(kept: VaultEntry) -> str | None:
    """As much of a reporter's phone as tells one from another."""
    return masked_phone(kept.usable_phone or kept.phone) if kept.phone else None
