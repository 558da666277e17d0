"""Everything on one server is lost, and comes back from a backup on an empty machine."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import asyncpg
import httpx
import pytest

from lastmetre.devstack import Stack
from lastmetre.devstack.ports import free_port
from tests.faults.rig.load import Load
from tests.faults.rig.mail import MailServer
from tests.support.backups import Backups, Machine, backups_of, new_machine, said
from tests.support.city import City
from tests.support.commands import lastmetre

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

REPORTS: Final = 250
"""With their receipts before the backup, and as many after it."""
LEDGER: Final = {
    "one_case", "ledger_in_dispatch", "ledger_on_topic", "ledger_told", "case_state",
    "applied_intake", "applied_notify", "applied_metrics", "facts",
}  # fmt: skip
"""Lines of the audit."""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return new_machine(tmp_path)


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


async def facts(stack: Stack) -> set[tuple[object, ...]]:
    """Every case as metrics has it, the last service to hear of it: its ids and its number."""
    connection = await asyncpg.connect(stack.endpoints.audit_databases["metrics"])
    rows = await connection.fetch("SELECT report_id, case_id, number FROM fact")
    await connection.close()
    return {tuple(row) for row in rows}


@pytest.fixture
async def backups(machine: Machine, stack: Stack) -> Backups:
    return await backups_of(machine, stack)


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
