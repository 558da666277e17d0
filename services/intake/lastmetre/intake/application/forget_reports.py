"""Contacts and texts of reports are erased from the vault."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lastmetre.intake.adapters.postgres import cases, erasing, reports
from lastmetre.intake.adapters.postgres.cases import ReportOfCase
from lastmetre.intake.adapters.vault_cipher import Vault
from lastmetre.intake.application.open_vault import belongs_to
from lastmetre.intake.domain.vault_entries import VaultEntry

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

REPORTS_AT_ONCE: Final = 1000


@dataclass(slots=True)
class Forgotten:
    """What was erased, or would be."""

    dry_run: bool
    reports: int = 0
    dead_letters: int = 0
    dead_letters_waiting: int = 0
    """Older than wanted, and not replayed: they keep their bodies until a person has seen them."""


class SeveralReporters(Exception):
    """The case was made of several people's reports: whose is to be forgotten was not said."""

    def __init__(self, reports: Sequence[ReportOfCase]) -> None:
        super().__init__(f"the case has {len(reports)} reports")
        self.reports = reports


class ForgetReport:
    """What is personal of one reporter, as he may ask (PIPL article 47); of the others of his case
    nothing is touched."""

    def __init__(self, connection: "Connection", *, dry_run: bool) -> None:
        self._connection = connection
        self._dry_run = dry_run

    async def of_case(self, number: str) -> Forgotten | None:
        """The report of the case with that number; None: there is no such case.

        Raises SeveralReporters if there are several.
        """
        found = await cases.by_number(self._connection, number)
        if len(found) > 1:
            raise SeveralReporters(found)
        return await self([found[0].report_id]) if found else None

    async def of_phone(self, number: str, digits: str, vault: Vault) -> Forgotten | None:
        """Of the case with that number what came from the phone that ends in these four digits;
        None: nothing did. Raises SeveralReporters where two people's phones do, and CannotOpen."""
        found = await cases.by_number(self._connection, number)
        sealed = await reports.sealed_of(self._connection, [each.report_id for each in found])
        kept = {
            report_id: VaultEntry.model_validate_json(vault.open(each, belongs_to(report_id)))
            for report_id, each in sealed.items()
        }
        his = {report_id: each for report_id, each in kept.items() if each.phone_ends_with(digits)}
        if len({each.usable_phone or each.phone for each in his.values()}) > 1:
            raise SeveralReporters([each for each in found if each.report_id in his])
        return await self(list(his)) if his else None

    async def __call__(self, report_ids: Sequence[UUID]) -> Forgotten:
        """Erase it; once more changes nothing."""
        transaction = self._connection.transaction()
        await transaction.start()
        erased = await erasing.forget(self._connection, report_ids)
        await (transaction.rollback() if self._dry_run else transaction.commit())
        return Forgotten(self._dry_run, reports=erased)


class ForgetOldReports:
    """What is personal of reports that are at their end. May be interrupted and repeated."""

    def __init__(self, connection: "Connection", *, dry_run: bool) -> None:
        self._connection = connection
        self._dry_run = dry_run

    async def __call__(self, before: datetime) -> Forgotten:
        """Erase it of all that came before then."""
        connection, done = self._connection, Forgotten(self._dry_run)
        last: UUID | None = None
        while found := await erasing.kept_before(connection, before, last, REPORTS_AT_ONCE):
            last = found[-1]
            done.reports += len(found) if self._dry_run else await erasing.forget(connection, found)
        if not self._dry_run:
            done.dead_letters = await erasing.forget_dead_letters(connection, before)
        done.dead_letters_waiting = await erasing.dead_letters_waiting(connection, before)
        return done
