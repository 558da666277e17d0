"""Notify is killed, stopped, and shared by processes: every message goes out once all the same."""

import asyncio
import threading

import pytest

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.deliveries import DeliveryResult, Recipient
from lastmetre.devstack.ports import free_port
from tests.integration.notify_ledgers import (
    EMAIL,
    MESSAGES_A_CASE,
    PHONE,
    lifecycle,
    mixed,
    once_each,
)
from tests.support.city import NotifyAlone, ServiceProcess, eventually, until_true
from tests.support.mailbox import Mailbox, listening
from tests.unit.notify.ledger import event

pytestmark = pytest.mark.slow


async def test_killed_between_the_file_and_its_result(notify: NotifyAlone) -> None:
    running = await notify.start()
    await notify.until("SELECT count(*) FROM message_done", 0)
    async with notify.connection() as blocker, blocker.transaction():
        # The file can be written, its result cannot be committed.
        await blocker.execute("LOCK TABLE message_done IN SHARE MODE")
        await notify.tell(*lifecycle(notify, "261122-0418", address={"phone": PHONE})[:2])
        await until_true(lambda: len(notify.files()) == 2)
        await notify.until("SELECT count(*) FROM message_waiting WHERE sending_by = 'folder'", 2)
        await running.kill()
    before = {file: file.read_bytes() for file in notify.files()}
    written = {file: file.stat().st_mtime_ns for file in notify.files()}
    await notify.start()
    await notify.until_done(2)
    assert {file: file.read_bytes() for file in notify.files()} == before
    assert len(list(notify.outbox.rglob("*.*"))) == 2, "nothing half-written is left"
    assert await notify.results() == {"sent": 2}
    await once_each(notify, 2)
    rewritten = [file for file in notify.files() if file.stat().st_mtime_ns > written[file]]
    assert len(rewritten) == 2, "both were sent again, to the same effect"


@pytest.mark.parametrize("first", ["crash", "cancel"])
async def test_killed_after_250_before_the_result(notify: NotifyAlone, first: str) -> None:
    """The case is cancelled after the crash, or while the message before is not committed yet."""
    mailbox, port = Mailbox(), free_port()
    events = lifecycle(notify, "261122-0418", address={"email": EMAIL})
    cancelled = [event(cases.CaseCancelled, 3, case_id=events[0].case_id)]
    settings = {"NOTIFY_SMTP_HOST": "127.0.0.1", "NOTIFY_SMTP_PORT": str(port)}
    async with listening(mailbox, port):
        running = await notify.start(**settings)
        async with notify.connection() as blocker, blocker.transaction():
            await blocker.execute("LOCK TABLE message_done IN SHARE MODE")
            await notify.tell(*events[:2])
            await until_true(lambda: len(mailbox.taken) == 1)
            if first == "cancel":
                await notify.tell(*cancelled)
                await notify.until("SELECT count(*) FROM message_waiting WHERE seq = 3", 1)
            await running.kill()
        if first == "crash":
            await notify.tell(*cancelled)
        await notify.start(**settings)
        await notify.until_done(3)
    assert len(mailbox.taken) == 2, "the interrupted one is not sent again, the next one is"
    ends = {(each.seq, each.recipient): each for each in await notify.deliveries()}
    unknown = ends[2, Recipient.REPORTER]
    assert (unknown.result, unknown.error) == (DeliveryResult.UNKNOWN, "interrupted")
    assert ends[2, Recipient.LEAD].result is DeliveryResult.SENT
    assert ends[3, Recipient.REPORTER].result is DeliveryResult.SENT
    await once_each(notify, 3)


async def test_stopped_politely_nothing_is_left_open(notify: NotifyAlone) -> None:
    stopping = threading.Event()

    async def after_it_was_told_to_stop(_: object) -> None:
        await asyncio.to_thread(stopping.wait)

    mailbox, port = Mailbox(on_data=after_it_was_told_to_stop), free_port()
    async with listening(mailbox, port):
        running = await notify.start(NOTIFY_SMTP_HOST="127.0.0.1", NOTIFY_SMTP_PORT=str(port))
        await notify.tell(*lifecycle(notify, "261122-0418", address={"email": EMAIL})[:2])
        await until_true(lambda: len(mailbox.taken) == 1)
        running.process.terminate()
        await running.until_it_is_stopping()
        stopping.set()
        assert await running.end() == 0
    assert await notify.value("SELECT count(*) FROM message_waiting") == 0
    assert await notify.results() == {"sent": 2}


async def test_two_processes_share_and_one_takes_over(notify: NotifyAlone) -> None:
    first, second = await asyncio.gather(notify.start(), notify.start())
    await _until_shards(first, 6)
    await _until_shards(second, 6)
    ledgers = [lifecycle(notify, f"261122-{n:04}", address={"phone": PHONE}) for n in range(200)]
    events = mixed(ledgers)
    half = len(events) // 2
    await notify.tell(*events[:half])
    shares = await _both_sent(first, second)
    telling = asyncio.create_task(notify.tell(*events[half:]))
    await first.kill()
    killed_at = asyncio.get_running_loop().time()
    await _until_shards(second, 12)
    took_over = asyncio.get_running_loop().time() - killed_at
    await telling
    await notify.until_done(200 * MESSAGES_A_CASE)
    print(f"sent before the kill: {shares}; shards taken over after {took_over:.1f} s")
    assert await notify.results() == {"sent": 200 * MESSAGES_A_CASE}
    assert len(notify.files()) == 200 * MESSAGES_A_CASE
    await once_each(notify, 200 * MESSAGES_A_CASE, killed=True)
    third = await notify.start()
    await _until_shards(third, 6)
    await _until_shards(second, 6)


async def _both_sent(*processes: ServiceProcess) -> list[float]:
    """How many messages each has sent, once that is some."""

    async def shares() -> list[float]:
        found = [await each.figure("lastmetre_messages_total") for each in processes]
        return found if min(found) > 0 else []

    return await eventually(shares, "message of each process")


async def _until_shards(running: ServiceProcess, expected: int) -> None:
    async def has_them() -> bool:
        return await running.figure("lastmetre_message_shards") == expected

    await eventually(has_them, f"owner of {expected} shards")
