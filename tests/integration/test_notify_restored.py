"""Notify comes back from its own topics: what the log knows is not said to anybody again."""

import asyncio
import signal
from collections import Counter
from uuid import UUID

import httpx
import pytest
from aiosmtpd.smtp import SMTP

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import Origin
from lastmetre.common.contracts.topics import NOTIFY_DELIVERIES
from lastmetre.common.postgres.locks import CATCH_UP_LOCK
from lastmetre.devstack import Stack
from lastmetre.devstack.ports import free_port
from tests.integration.notify_ledgers import (
    EMAIL,
    MESSAGES_A_CASE,
    lifecycle,
    new_ids,
    once_each,
)
from tests.support.city import NotifyAlone
from tests.support.databases import copied_database
from tests.support.mailbox import Mailbox, listening
from tests.unit.notify.ledger import event, registered

pytestmark = pytest.mark.slow


async def rate(url: str, notify: NotifyAlone, case_id: UUID) -> int:
    token = notify.credentials.rating_token(case_id, 7)
    body = {"solved": True, "score": 5}
    async with httpx.AsyncClient() as client:
        return (await client.post(f"{url}/api/notify/v1/ratings/{token}", json=body)).status_code


def sent_twice(mailbox: Mailbox) -> list[bytes]:
    ids = [
        line
        for raw in mailbox.taken
        for line in raw.split(b"\r\n\r\n")[0].split(b"\r\n")
        if line.startswith(b"Message-ID")
    ]
    return [each for each, times in Counter(ids).items() if times > 1]


async def test_restored_it_sends_nothing_that_the_log_knows_of(
    stack: Stack, notify: NotifyAlone
) -> None:
    mailbox, port = Mailbox(), free_port()
    mail = {"NOTIFY_SMTP_HOST": "127.0.0.1", "NOTIFY_SMTP_PORT": str(port)}
    ended, waiting, sending, later = (
        lifecycle(notify, f"261122-{n:04}", address={"email": EMAIL}) for n in range(4)
    )
    imported, report_id = new_ids()
    history = [
        registered(case_id=imported, report_id=report_id, origin=Origin.IMPORT),
        event(cases.CaseDispatched, 2, case_id=imported),
    ]
    async with listening(mailbox, port):
        # The backup has one case at its end; one that waits; one whose first message is being sent.
        await notify.start(**mail)
        await notify.tell(*ended)
        await notify.until_done(MESSAGES_A_CASE)
        notify.vault.away = True
        await notify.tell(*waiting, *sending)
        await notify.until("SELECT count(*) FROM message_waiting", 2 * MESSAGES_A_CASE)
        await notify.stop()
        backup = await copied_database(stack, "notify", notify.database_url)
        # What it will have forgotten.
        notify.vault.away = False
        running = await notify.start(**mail)
        await notify.tell(*later, *history)
        await notify.until_done(4 * MESSAGES_A_CASE + 2)
        for ledger in (ended, later):
            assert await rate(running.url, notify, ledger[0].case_id) == 202
        await notify.until("SELECT count(*) FROM outbox", 0)
        results = await notify.results()
        told = len(await notify.records(NOTIFY_DELIVERIES))
        out = len(mailbox.taken)
        await notify.stop()

        notify.database_url = backup
        async with notify.connection() as connection:
            await connection.execute(
                "UPDATE message_waiting SET sending_by = 'smtp', attempts = 1"
                " WHERE case_id = $1 AND seq = 2 AND recipient = 'reporter'",
                sending[0].case_id,
            )
        again = await notify.start(**mail)
        await notify.until("SELECT count(*) FROM subject", 5)
        await notify.until_done(4 * MESSAGES_A_CASE + 2)
        assert await notify.results() == results
        assert len(mailbox.taken) == out
        assert len(await notify.records(NOTIFY_DELIVERIES)) == told
        assert await notify.value("SELECT count(*) FROM adopted_delivery") == 0
        assert await notify.value("SELECT count(*) FROM rating") == 2
        assert await rate(again.url, notify, ended[0].case_id) == 200, (
            "it is known that he has said"
        )
        await once_each(notify, 4 * MESSAGES_A_CASE + 2)
        assert again.complaints(), "the operator is told that the database has gone back"
        # It goes on as ever, and knows everything at the next start.
        await notify.tell(*lifecycle(notify, "261122-0009", address={"email": EMAIL}))
        await notify.until_done(5 * MESSAGES_A_CASE + 2)
        await notify.stop()
        once_more = await notify.start(**mail)
        await notify.stop()
        assert once_more.complaints() == []
    assert len(mailbox.taken) == 5 * (MESSAGES_A_CASE - 1)
    assert sent_twice(mailbox) == []
    assert len(await notify.feedback()) == 2


async def test_nothing_is_decided_before_it_has_caught_up(notify: NotifyAlone) -> None:
    case_id, _ = new_ids()
    await notify.start()
    await notify.stop()
    async with notify.connection() as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", CATCH_UP_LOCK)
        running = await notify.launch()
        await running.until_it_answers()
        assert await rate(running.url, notify, case_id) == 503
        assert await connection.fetchval("SELECT count(*) FROM rating") == 0
    await running.until_ready()
    assert await rate(running.url, notify, case_id) == 202


async def test_what_the_log_does_not_know_is_sent_or_unknown(
    stack: Stack, notify: NotifyAlone
) -> None:
    """One that the backup has as `sending` and whose end no record tells: nobody knows."""
    mailbox, port = Mailbox(), free_port()
    mail = {"NOTIFY_SMTP_HOST": "127.0.0.1", "NOTIFY_SMTP_PORT": str(port)}
    notify.vault.away = True
    first, second = (
        lifecycle(notify, f"261123-{n:04}", address={"email": EMAIL})[:2] for n in range(2)
    )
    async with listening(mailbox, port):
        await notify.start(**mail)
        await notify.tell(*first, *second)
        await notify.until("SELECT count(*) FROM message_waiting", 4)
        await notify.stop()
        async with notify.connection() as connection:
            await connection.execute(
                "UPDATE message_waiting SET sending_by = 'smtp', attempts = 1"
                " WHERE case_id = $1 AND recipient = 'reporter'",
                first[0].case_id,
            )
        notify.database_url = await copied_database(stack, "notify", notify.database_url)
        notify.vault.away = False
        await notify.start(**mail)
        await notify.until_done(4)
    assert await notify.results() == {"sent": 3, "unknown": 1}
    assert len(mailbox.taken) == 1


async def test_what_went_out_and_was_forgotten_is_unknown(
    stack: Stack, notify: NotifyAlone
) -> None:
    """The database has lost the claim, or never heard of the message; the log has the attempt."""
    mailbox, port = Mailbox(), free_port()
    mail = {"NOTIFY_SMTP_HOST": "127.0.0.1", "NOTIFY_SMTP_PORT": str(port)}
    asked, later = (
        lifecycle(notify, f"261124-{n:04}", address={"email": EMAIL})[:2] for n in range(2)
    )
    notify.vault.away = True
    async with listening(mailbox, port):
        await notify.start(**mail)
        await notify.tell(*asked)
        await notify.until("SELECT count(*) FROM message_waiting", 2)
        await notify.stop()
        backup = await copied_database(stack, "notify", notify.database_url)

        both = asyncio.Barrier(2)

        async def is_killed(_: SMTP) -> None:
            """It has both messages, and answers to neither before their sender has ended."""
            await both.wait()
            if running.process.returncode is None:
                running.process.send_signal(signal.SIGKILL)

        # Before it starts: the first message goes out at once.
        mailbox.on_data = is_killed
        notify.vault.away = False
        running = await notify.start(**mail)
        await notify.tell(*later)
        async with asyncio.timeout(60):
            await running.process.wait()
        mailbox.on_data = None

        notify.database_url = backup
        again = await notify.start(**mail)
        await notify.until_done(4)
        assert await notify.results() == {"sent": 2, "unknown": 2}
        assert await notify.value("SELECT count(*) FROM adopted_delivery") == 0
        await once_each(notify, 4, killed=True)
        assert again.complaints(), "the operator is told that the database has gone back"
        # At the next start it knows of all of them.
        await notify.stop()
        once_more = await notify.start(**mail)
        assert once_more.complaints() == []
    assert len(mailbox.taken) == 2
    assert sent_twice(mailbox) == []
