"""The mail server refuses, or the vault gives no addresses: messages wait, somebody is called."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from lastmetre.devstack import Stack
from lastmetre.devstack.ports import free_port
from tests.drills.drill import hurried, watched
from tests.support.city import City
from tests.support.mailbox import Mailbox, listening

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WITHIN: Final = {"expr": ("[15m]", "[30s]")}
LATE_SECONDS: Final = 300
"""As messages are promised."""
SPOIL: Final = """
    UPDATE vault SET sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1)
    WHERE report_id = (SELECT report_id FROM vault ORDER BY report_id DESC LIMIT 1)
"""
"""The last report's. If no row could be opened, it would be the key that is missing."""


@pytest.fixture(scope="module")
def port() -> int:
    """The mail server's."""
    return free_port()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Stack]:
    """It tries again at once."""
    told = {
        "NOTIFY_SMTP_HOST": "127.0.0.1",
        "NOTIFY_SMTP_PORT": str(port),
        "NOTIFY_SMTP_STARTTLS": "false",
        "NOTIFY_RETRY_FIRST_SECONDS": "1",
        "NOTIFY_RETRY_LONGEST_SECONDS": "2",
    }
    with Stack(tmp_path_factory.mktemp("drill") / "home", environment=told) as running:
        yield running


async def reported(city: City) -> None:
    """A report whose sender is to be told by mail."""
    await city.report(f"mail-{uuid4()}", contact={"email": "reporter@example.org"})


async def test_a_mail_server_that_refuses_us(city: City, port: int, tmp_path: Path) -> None:
    await city.import_network()
    mailbox = Mailbox(rcpt="554 5.7.1 Relay access denied")
    rules = hurried(tmp_path, "MailRefused", **WITHIN)
    async with listening(mailbox, port), watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("MailRefused")
        await reported(city)
        drill.begins()
        await drill.fires("MailRefused", "page", set())
        mailbox.rcpt = "250 OK"
        drill.begins()
        await drill.resolves("MailRefused", "page")
        assert len(mailbox.taken) == 1


async def test_messages_that_are_late(city: City, port: int, tmp_path: Path) -> None:
    """One is put off for more than five minutes; others then leave at once."""
    late = {"MessagesLateFast": "page", "MessagesLateSlowly": "ticket"}
    await city.import_network()
    mailbox = Mailbox(rcpt="451 Later please")
    async with listening(mailbox, port), watched(city, tmp_path) as drill:
        for alert in late:
            await drill.is_quiet(alert)
        await reported(city)

        async def is_late() -> bool:
            return await city.figure("notify", "lastmetre_messages_oldest_seconds") > LATE_SECONDS

        await city.until(is_late, "message that is late", LATE_SECONDS + 60)
        mailbox.rcpt = "250 OK"
        drill.begins()
        for alert, severity in late.items():
            await drill.fires(alert, severity, set())
        drill.begins()
        for alert, severity in late.items():
            await drill.resolves(alert, severity, meanwhile=lambda: reported(city))


async def test_messages_that_fail(city: City, port: int, tmp_path: Path) -> None:
    """Nobody has that address, by the server; then all have."""
    await city.import_network()
    mailbox = Mailbox(rcpt="550 5.1.1 No such user")
    rules = hurried(tmp_path, "MessagesFail", **{"for": ("15m", "10s")})
    async with listening(mailbox, port), watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("MessagesFail")
        await reported(city)
        drill.begins()
        await drill.fires("MessagesFail", "ticket", set())
        mailbox.rcpt = "250 OK"
        drill.begins()
        await drill.resolves("MessagesFail", "ticket", meanwhile=lambda: reported(city))


async def test_a_row_of_the_vault_that_is_damaged(city: City, port: int, tmp_path: Path) -> None:
    """Read once, for a message that then has no address: nothing is left to read it for."""
    await city.import_network()
    mailbox = Mailbox(rcpt="451 Later please")
    rules = hurried(tmp_path, "VaultDamaged", **WITHIN)
    async with listening(mailbox, port), watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("VaultDamaged")
        await city.new_case(f"intact-{uuid4()}")
        await reported(city)
        await city.until(lambda: _asked(mailbox), "message that is put off")
        intake = await city.database("intake")
        await intake.execute(SPOIL)
        drill.begins()
        await drill.fires("VaultDamaged", "page", set())
        await intake.execute(SPOIL)
        drill.begins()
        await drill.resolves("VaultDamaged", "page")


async def _asked(mailbox: Mailbox) -> bool:
    return bool(mailbox.addressed)


async def test_a_vault_that_does_not_answer(
    stack: Stack, city: City, port: int, tmp_path: Path
) -> None:
    """Intake is stopped while a message waits for its address."""
    await city.import_network()
    mailbox = Mailbox(rcpt="451 Later please")
    rules = hurried(
        tmp_path, "VaultCallsFail", **{"expr": ("[5m]", "[30s]"), "for": ("10m", "10s")}
    )
    async with listening(mailbox, port), watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("VaultCallsFail")
        await reported(city)
        await city.until(lambda: _asked(mailbox), "message that is put off")
        await asyncio.to_thread(stack.stop_process, "intake")
        drill.begins()
        try:
            await drill.fires("VaultCallsFail", "ticket", {"notify"})
        finally:
            await asyncio.to_thread(stack.start_process, "intake")
            mailbox.rcpt = "250 OK"
            drill.begins()
        await drill.resolves("VaultCallsFail", "ticket")
        assert mailbox.taken
