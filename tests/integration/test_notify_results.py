"""A database that refuses the results of messages: they wait, it is said, and it goes on."""

import pytest

from lastmetre.devstack.ports import free_port
from tests.integration.notify_ledgers import (
    EMAIL,
    MESSAGES_A_CASE,
    lifecycle,
    mixed,
    once_each,
)
from tests.support.city import NotifyAlone, ServiceProcess, eventually
from tests.support.mailbox import Mailbox, listening

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("breaks", "mends"),
    [
        (
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$"
            " BEGIN RAISE EXCEPTION 'not today'; END $$;"
            "CREATE TRIGGER no BEFORE INSERT ON message_done EXECUTE FUNCTION no()",
            "DROP TRIGGER no ON message_done",
        ),
        (
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$"
            " BEGIN RAISE EXCEPTION 'not today' USING ERRCODE = 'XX002'; END $$;"
            "CREATE TRIGGER no BEFORE INSERT ON message_done EXECUTE FUNCTION no()",
            "DROP TRIGGER no ON message_done",
        ),
        (
            "ALTER TABLE message_done ADD CHECK (false) NOT VALID",
            "ALTER TABLE message_done DROP CONSTRAINT message_done_check",
        ),
        ("REVOKE INSERT ON message_done FROM notify", "GRANT INSERT ON message_done TO notify"),
    ],
    ids=["P0001", "XX002", "23514", "42501"],
)
async def test_results_that_cannot_be_recorded_wait_and_say_so(
    notify: NotifyAlone, breaks: str, mends: str
) -> None:
    mailbox, port = Mailbox(), free_port()
    ledgers = [lifecycle(notify, f"261122-{n:04}", address={"email": EMAIL}) for n in range(30)]
    async with listening(mailbox, port):
        running = await notify.start(NOTIFY_SMTP_HOST="127.0.0.1", NOTIFY_SMTP_PORT=str(port))
        async with notify.connection() as connection:
            await connection.execute(breaks)
            await notify.tell(*mixed(ledgers))
            # The first to each reader and each lead.
            said = await _until_missing(running, " 60 wait")
            assert said.startswith("sender: no result recorded for ")
            assert running.process.returncode is None
            assert await running.figure("lastmetre_message_results_waiting") == 60
            assert await _oldest_message(running) > 0
            assert await notify.value("SELECT count(*) FROM message_done") == 0
            await connection.execute(mends)
        await notify.until_done(30 * MESSAGES_A_CASE)
        assert await running.missing() == []
    assert await notify.results() == {"sent": 30 * MESSAGES_A_CASE}
    assert len(mailbox.taken) == 30 * 4, "nothing is sent again"
    await once_each(notify, 30 * MESSAGES_A_CASE)


async def _oldest_message(running: ServiceProcess) -> float:
    """Its age once it has been measured, which another task does than the one that is stuck."""
    return await eventually(lambda: running.figure("lastmetre_messages_oldest_seconds"))


async def _until_missing(running: ServiceProcess, words: str) -> str:
    async def said() -> str | None:
        return next((each for each in await running.missing() if words in each), None)

    return await eventually(said, words)
