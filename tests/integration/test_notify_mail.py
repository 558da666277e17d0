"""Notify sends by a mail server that puts off, refuses, or is away."""

from collections import Counter, defaultdict

import pytest

from lastmetre.devstack.ports import free_port
from tests.integration.notify_ledgers import (
    EMAIL,
    MESSAGES_A_CASE,
    PHONE,
    lifecycle,
    mixed,
    once_each,
)
from tests.support.city import NotifyAlone
from tests.support.mailbox import Mailbox, listening

pytestmark = pytest.mark.slow


def reporter_mail(mailbox: Mailbox) -> dict[str, list[str]]:
    """Message ids by case number, in the order in which they came."""
    found: dict[str, list[str]] = defaultdict(list)
    for raw in mailbox.taken:
        head = raw.split(b"\r\n\r\n")[0].decode("ascii")
        lines = dict(line.split(": ", 1) for line in head.split("\r\n") if ": " in line)
        found[lines["To"]].append(lines["Message-ID"])
    return found


async def test_each_reader_gets_his_messages_in_order(notify: NotifyAlone) -> None:
    """Ten cases by e-mail, the server puts off every third message at first."""
    mailbox, port = Mailbox(), free_port()
    puts_off = iter([True, False, False] * 1000)
    mailbox.decide = lambda: "451 Later" if next(puts_off) else "250 OK"
    ledgers = [
        lifecycle(notify, f"261122-{n:04}", address={"email": f"r{n}@example.org"})
        for n in range(10)
    ]
    async with listening(mailbox, port):
        await notify.start(NOTIFY_SMTP_HOST="127.0.0.1", NOTIFY_SMTP_PORT=str(port))
        await notify.tell(*mixed(ledgers))
        await notify.until_done(10 * MESSAGES_A_CASE)
    assert await notify.results() == {"sent": 10 * MESSAGES_A_CASE}
    seqs = {str(each.message_id): each.seq for each in await notify.deliveries()}
    by_reader = reporter_mail(mailbox)
    assert len(by_reader) == 10
    for ids in by_reader.values():
        came = [seqs[each.strip("<>").split("@")[0]] for each in ids]
        assert came == [2, 3, 4, 7]


async def test_a_mail_server_that_is_down_stops_nobody_else(notify: NotifyAlone) -> None:
    port = free_port()
    await notify.start(NOTIFY_SMTP_HOST="127.0.0.1", NOTIFY_SMTP_PORT=str(port))
    by_mail = [lifecycle(notify, f"261122-{n:04}", address={"email": EMAIL}) for n in range(40)]
    by_phone = [lifecycle(notify, f"261122-1{n:03}", address={"phone": PHONE}) for n in range(40)]
    await notify.tell(*mixed(by_mail + by_phone))
    # All that goes by phone: every message of forty cases, and those to the leads of the others.
    await notify.until("SELECT count(*) FROM message_done", 40 * MESSAGES_A_CASE + 40)
    assert await notify.value("SELECT count(*) FROM message_waiting") == 40 * 4
    tried = await notify.value("SELECT count(*) FROM message_waiting WHERE attempts > 0")
    assert tried <= 40, "only the first message of each reader is tried"
    mailbox = Mailbox()
    async with listening(mailbox, port):
        await notify.until_done(80 * MESSAGES_A_CASE)
    assert await notify.results() == {"sent": 80 * MESSAGES_A_CASE}
    assert len(mailbox.taken) == 40 * 4
    await once_each(notify, 80 * MESSAGES_A_CASE)


async def test_what_a_mail_server_refuses_has_failed(notify: NotifyAlone) -> None:
    mailbox, port = Mailbox(rcpt="550 No such user"), free_port()
    async with listening(mailbox, port):
        await notify.start(NOTIFY_SMTP_HOST="127.0.0.1", NOTIFY_SMTP_PORT=str(port))
        await notify.tell(*lifecycle(notify, "261122-0418", address={"email": EMAIL}))
        await notify.until_done(MESSAGES_A_CASE)
    assert await notify.results() == {"sent": 1, "failed": 4}
    errors = Counter(each.error for each in await notify.deliveries())
    assert errors == {None: 1, "smtp_550": 4}


async def test_what_waits_too_long_expires(notify: NotifyAlone) -> None:
    await notify.start(
        NOTIFY_SMTP_HOST="127.0.0.1", NOTIFY_SMTP_PORT=str(free_port()),
        NOTIFY_EXPIRE_AFTER_SECONDS="2",
    )  # fmt: skip
    await notify.tell(*lifecycle(notify, "261122-0418", address={"email": EMAIL}))
    await notify.until_done(MESSAGES_A_CASE)
    errors = Counter(each.error for each in await notify.deliveries())
    assert errors == {None: 1, "expired": 4}
