"""Everything on one server is lost, and comes back from a backup on an empty machine."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from lastmetre.cli.backup.base_backup import make_base_backup
from lastmetre.devstack import Stack
from lastmetre.devstack.keys import SUPERUSER, Keys
from lastmetre.devstack.postgres import binaries, unprivileged_user
from tests.faults.rig.load import Load
from tests.faults.rig.mail import MailServer
from tests.support.city import City
from tests.support.commands import attempt, lastmetre
from tests.support.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

REPORTS: Final = 250
"""With their receipts before the backup, and as many after it."""
LEDGER: Final = {
    "one_case", "ledger_in_dispatch", "ledger_on_topic", "ledger_told", "case_state",
    "applied_intake", "applied_notify", "applied_metrics", "facts",
}  # fmt: skip
"""Lines of the audit."""
ARCHIVED: Final = "cp %p {0}/.%f && mv {0}/.%f {0}/%f"


@dataclass(frozen=True)
class Machine:
    """A server's folders, and the disk with the backups, which is not lost with it."""

    home: Path
    backups: Path
    identity: Path

    @property
    def postgresql(self) -> Path:
        return self.home / "data" / "postgres"

    @property
    def kafka(self) -> Path:
        return self.home / "data" / "kafka"

    @property
    def secrets(self) -> Path:
        return self.home / "secrets"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path / "server", tmp_path / "backups", tmp_path / "identity")
    archive = made.backups / "log"
    archive.mkdir(parents=True)
    if os.geteuid() == 0:
        user = unprivileged_user()
        os.chown(archive, user.pw_uid, user.pw_gid)
    return made


@pytest.fixture
def stack(machine: Machine) -> Iterator[Stack]:
    """Its messages leave the machine: what was sent is not lost with it."""
    mail = MailServer(free_port())
    mail.start()
    told = {
        "NOTIFY_SMTP_HOST": "127.0.0.1",
        "NOTIFY_SMTP_PORT": str(mail.port),
        "NOTIFY_SMTP_STARTTLS": "false",
        # Wait for what is confirmed.
        "INTAKE_BACKUP_INTERVAL_SECONDS": "",
    }
    running = Stack(machine.home, environment=told)
    running.start()
    yield running
    running.stop()
    mail.stop()


@pytest.fixture
async def city(stack: Stack) -> AsyncIterator[City]:
    async with City(stack.endpoints.model_dump(mode="json", by_alias=True)) as opened:
        await opened.import_network()
        yield opened


def superuser_url(stack: Stack) -> str:
    password = Keys.kept_in(stack.home.secrets).database_passwords[SUPERUSER]
    port = urlsplit(stack.endpoints.databases["intake"]).port
    return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/{SUPERUSER}"


async def archive_log(stack: Stack, archive: Path) -> None:
    """From now on PostgreSQL's log goes to the other disk, too."""
    connection = await asyncpg.connect(superuser_url(stack))
    for setting in ("archive_mode = on", f"archive_command = '{ARCHIVED.format(archive)}'"):
        await connection.execute(f"ALTER SYSTEM SET {setting}")
    await connection.close()
    await asyncio.to_thread(stack.restart, "postgres")


async def facts(stack: Stack) -> set[tuple[object, ...]]:
    """Every case as metrics has it, the last service to hear of it: its ids and its number."""
    connection = await asyncpg.connect(stack.endpoints.audit_databases["metrics"])
    rows = await connection.fetch("SELECT report_id, case_id, number FROM fact")
    await connection.close()
    return {tuple(row) for row in rows}


async def said(stack: Stack | None, *words: str | Path, **environment: str) -> str:
    code, printed, complained = await attempt(stack, *words, **environment)
    assert code == 0, f"{words}: {printed}\n{complained}"
    return printed


class Backups:
    """Who backs up a machine and brings it back."""

    def __init__(self, machine: Machine, stack: Stack, recipient: str) -> None:
        self._machine = machine
        self._stack = stack
        self._recipient = recipient

    async def make(self) -> str:
        """Its name."""
        made = await said(
            self._stack, "backup", "make", "--to", self._machine.backups,
            "--kafka-data", self._machine.kafka, "--secrets", self._machine.secrets,
            "--recipient", self._recipient, "--pg-basebackup", binaries() / "pg_basebackup",
            POSTGRES_SUPERUSER_URL=superuser_url(self._stack),
        )  # fmt: skip
        return made.strip()

    async def make_in_steps(self) -> str:
        """As compose does it, with pg_basebackup in another container."""
        folder = self._machine.backups
        await said(self._stack, "backup", "begin", "--to", folder)
        make_base_backup(
            superuser_url(self._stack), folder / "begun" / "postgresql",
            str(binaries() / "pg_basebackup"),
        )  # fmt: skip
        made = await said(
            self._stack, "backup", "finish", "--to", folder, "--kafka-data", self._machine.kafka,
            "--without", "secrets", "--keep-days", "30",
        )  # fmt: skip
        return made.strip()

    async def restore(self, *words: str | Path) -> None:
        owner: tuple[str, ...] = ()
        if os.geteuid() == 0:
            owner = ("--postgresql-owner", str(unprivileged_user().pw_uid))
        await said(None, "restore", "--from", self._machine.backups, *words, *owner)


@pytest.fixture
async def backups(machine: Machine, stack: Stack) -> Backups:
    await archive_log(stack, machine.backups / "log")
    recipient = (await said(None, "backup", "key", machine.identity)).strip()
    return Backups(machine, stack, recipient)


@pytest.fixture
def load(city: City, stack: Stack) -> Load:
    """Reports, steps of leads, ratings."""
    database = stack.endpoints.audit_databases["dispatch"]
    return Load(city, lambda service: [stack.url(service, 0)], lambda: database)


async def test_everything_is_lost_and_comes_back(
    machine: Machine, stack: Stack, city: City, backups: Backups, load: Load
) -> None:
    async with load.running():
        await load.until(REPORTS)
        before = await facts(stack)
        name = await backups.make()
        await load.until(len(load.receipts) + REPORTS)
    assert (await said(None, "backup", "list", "--from", machine.backups)).startswith(name)
    assert (await lastmetre(stack, "status"))["last_backup"]["name"] == name

    await asyncio.to_thread(stack.stop)
    addresses = (stack.home.run / "ports.json").read_text("utf-8")
    shutil.rmtree(machine.home)

    began = time.monotonic()
    # What a city has beside its backups: the settings, which name its addresses.
    stack.home.make()
    (stack.home.run / "ports.json").write_text(addresses, "utf-8")
    await backups.restore(
        "--postgresql", machine.postgresql, "--kafka", machine.kafka,
        "--secrets", machine.secrets, "--identity", machine.identity,
    )  # fmt: skip
    restored = time.monotonic()
    await asyncio.to_thread(stack.start)
    print(f"restored in {restored - began:.1f} s, ready {time.monotonic() - restored:.1f} s later")
    assert (await lastmetre(stack, "audit"))["balanced"]
    print(f"balanced {time.monotonic() - began:.1f} s after the restore began")
    assert before <= await facts(stack), "what was known at the backup is known under the same ids"
    # Waits until it is a case.
    await city.new_case("after-the-restore")


async def test_postgresqls_disk_is_lost_and_nothing_with_it(
    machine: Machine, stack: Stack, city: City, backups: Backups, load: Load, tmp_path: Path
) -> None:
    async with load.running():
        await load.until(REPORTS)
        await backups.make()
        await load.until(len(load.receipts) + REPORTS)
    before = await facts(stack)
    await asyncio.to_thread(stack.stop_process, "postgres")
    # It has archived the rest of its log when it stopped, which a lost disk does not.
    newest = max((machine.backups / "log").glob("0*"), key=lambda each: each.name)
    newest.unlink()

    began = time.monotonic()
    await backups.restore("--postgresql", machine.postgresql, "--replace")
    await asyncio.to_thread(stack.start_process, "postgres")
    receipts = tmp_path / "receipts"
    load.write(receipts)
    await city.new_case("after-the-restore")
    assert (await lastmetre(stack, "audit", "--receipts", receipts))["balanced"]
    print(f"balanced {time.monotonic() - began:.1f} s after the restore began")
    assert before <= await facts(stack)


async def test_kafkas_disk_is_lost_and_the_ledger_comes_back(
    machine: Machine, stack: Stack, city: City, backups: Backups, load: Load
) -> None:
    """What only the topics had is lost; all that became of cases is there."""
    async with load.running():
        await load.until(REPORTS)
        await backups.make_in_steps()
        await load.until(len(load.receipts) + REPORTS)
    assert (await lastmetre(stack, "audit"))["balanced"]
    before = await facts(stack)
    await asyncio.to_thread(stack.stop_process, "kafka")

    began = time.monotonic()
    await backups.restore("--kafka", machine.kafka, "--replace")
    await asyncio.to_thread(stack.start_process, "kafka")
    await lastmetre(stack, "recover")

    async def taken() -> bool:
        """As senders do: the edge's first answers may be 503, for it begins a new producer."""
        try:
            await city.report("after-the-restore")
        except httpx.HTTPStatusError as error:
            if error.response.status_code != 503:
                raise
            return False
        return True

    await city.until(taken, "a report is taken")
    await city.new_case("after-the-restore")
    document = await lastmetre(stack, "audit", code=1)
    print(f"counted {time.monotonic() - began:.1f} s after the restore began")
    wrong = {line["name"] for line in document["lines"] if not line["balanced"]}
    assert "acknowledged" in wrong, "what the topics have lost is named"
    assert not wrong & LEDGER
    assert before <= await facts(stack)
