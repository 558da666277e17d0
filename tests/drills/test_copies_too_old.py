"""Neither backup nor export of the ledger for 30 hours, no audit for two days: a ticket, until
there is another."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from lastmetre.devstack import Stack
from tests.drills.drill import hurried, watched
from tests.support.backups import Machine, backups_of, new_machine, said
from tests.support.city import City
from tests.support.prometheus import textfile

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TOO_OLD: Final = timedelta(hours=31)
AUDITED_BEFORE: Final = timedelta(days=3)
HOLDS: Final = {"for": ("1h", "10s")}
"""An hour is not waited for; 30 hours and two days are as in the rules."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return new_machine(tmp_path_factory.mktemp("drill"))


@pytest.fixture(scope="module")
def stack(machine: Machine) -> Iterator[Stack]:
    """Intake waits for backups that are confirmed, and looks every second."""
    told = {"INTAKE_BACKUP_INTERVAL_SECONDS": "", "INTAKE_TRIM_EVERY_SECONDS": "1"}
    with Stack(machine.home, environment=told) as running:
        yield running


async def test_a_backup_that_is_too_old(
    machine: Machine, stack: Stack, city: City, tmp_path: Path
) -> None:
    """The confirmed one was begun longer ago, in intake's database; then another is made."""
    backups = await backups_of(machine, stack)
    await backups.make()
    intake = await city.database("intake")
    async with watched(city, tmp_path, hurried(tmp_path, "BackupTooOld", **HOLDS)) as drill:
        await drill.is_quiet("BackupTooOld")
        await intake.execute(
            "UPDATE confirmed_backup SET begun_at = begun_at - $1::interval", TOO_OLD
        )
        drill.begins()
        await drill.fires("BackupTooOld", "ticket", set())
        await backups.make()
        drill.begins()
        await drill.resolves("BackupTooOld", "ticket")


async def test_an_export_that_is_too_old(stack: Stack, city: City, tmp_path: Path) -> None:
    """The last one was begun longer ago, by the file for Prometheus; then another is made."""
    told = tmp_path / "ledger.prom"
    export = ("ledger", "export", tmp_path / "ledger", "--metrics-file", told)
    await said(stack, *export)
    rules = hurried(tmp_path, "LedgerExportOld", **HOLDS)
    with textfile(told) as node:
        async with watched(city, tmp_path, rules, [node]) as drill:
            await drill.is_quiet("LedgerExportOld")
            name, exported_at = told.read_text("utf-8").splitlines()[-1].split()
            told.write_text(f"{name} {float(exported_at) - TOO_OLD.total_seconds()}\n", "utf-8")
            drill.begins()
            await drill.fires("LedgerExportOld", "ticket", set())
            await said(stack, *export)
            drill.begins()
            await drill.resolves("LedgerExportOld", "ticket")


async def test_an_audit_that_is_too_old(stack: Stack, city: City, tmp_path: Path) -> None:
    """The last one ended three days ago, by the file for Prometheus; then there is another."""
    told = tmp_path / "audit.prom"
    audit = ("audit", "--metrics-file", told)
    await said(stack, *audit)
    rules = hurried(tmp_path, "AuditOld", **HOLDS)
    with textfile(told) as node:
        async with watched(city, tmp_path, rules, [node]) as drill:
            await drill.is_quiet("AuditOld")
            ended = "lastmetre_audit_finished_timestamp_seconds"
            lines = [
                f"{ended} {float(line.split()[1]) - AUDITED_BEFORE.total_seconds()}"
                if line.startswith(f"{ended} ")
                else line
                for line in told.read_text("utf-8").splitlines()
            ]
            told.write_text("\n".join([*lines, ""]), "utf-8")
            drill.begins()
            await drill.fires("AuditOld", "ticket", set())
            await said(stack, *audit)
            drill.begins()
            await drill.resolves("AuditOld", "ticket")
