"""Contacts and texts of reports are erased from the vault."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lastmetre.intake.adapters.postgres import erasing

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


class ForgetReport:
    """What is personal of one report, as its reporter may ask (PIPL article 47)."""

    def __init__(self, connection: "Connection", *, dry_run: bool) -> None:
        self._connection = connection
        self._dry_run = dry_run

    async def numbered(self, number: str) -> Forgotten | None:
        """The report that the case with that number began with; None: there is no such case."""
        report_id = await erasing.report_numbered(self._connection, number)
        return await self(report_id) if report_id else None

    async def __call__(self, report_id: UUID) -> Forgotten:
        """Erase it; once more changes nothing."""
        transaction = self._connection.transaction()
        await transaction.start()
        reports = await erasing.forget(self._connection, [report_id])
        await (transaction.rollback() if self._dry_run else transaction.commit())
        return Forgotten(self._dry_run, reports=reports)


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
            done.dead_letters = await erasing.forget_letters(connection, before)
        done.dead_letters_waiting = await erasing.letters_waiting(connection, before)
        return done
