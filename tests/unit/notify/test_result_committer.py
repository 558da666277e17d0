"""Results wait for any error, are recorded once it is gone, and one bad one holds up no other."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import asyncpg
import pytest

from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.notify.adapters.postgres.sending import Attempted
from lastmetre.notify.application.result_committer import BATCH, SILENT_SECONDS, Attempt
from lastmetre.notify.application.result_committer import ResultCommitter as Committer
from lastmetre.notify.domain.messages import REPORTER, Kind
from lastmetre.notify.domain.provider import SENT, Outcome
from tests.support.virtual_time import in_virtual_time
from tests.unit.notify.memory_queue import MemoryQueue, Row, now, results
from tests.unit.notify.test_texts import due

ERRORS: list[type[Exception]] = [
    asyncpg.RaiseError,
    asyncpg.IndexCorruptedError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.DiskFullError,
    asyncpg.UndefinedColumnError,
    asyncpg.InvalidPasswordError,
    asyncpg.DeadlockDetectedError,
    asyncpg.UniqueViolationError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    TimeoutError,
    ConnectionRefusedError,
    KeyError,
]


def claimed(queue: MemoryQueue, number: int) -> Attempt:
    """The attempt of a message that the queue holds as claimed."""
    message = due(Kind.RECEIVED)._replace(case_id=UUID(int=number), attempts=1)
    queue.waiting[message.key] = Row(message, now(), now(), "folder")
    return Attempt(Attempted(*message.key, 1), "folder", SENT)


@asynccontextmanager
async def running(queue: MemoryQueue, told: list[Attempt]) -> AsyncIterator[Committer]:
    committer = Committer(queue, told.extend, lambda: 0.5)
    task = asyncio.create_task(committer.run())
    try:
        yield committer
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("takes_effect", [False, True], ids=["before-commit", "after-commit"])
@pytest.mark.parametrize("error", ERRORS)
def test_whatever_the_error_results_wait_and_are_recorded_once(
    error: type[Exception], takes_effect: bool
) -> None:
    async def trial() -> None:
        until = 30.0

        def fault(name: str, _: Sequence[Attempted]) -> tuple[Exception, bool] | None:
            here = asyncio.get_running_loop().time()
            return (error("no"), takes_effect) if here < until else None

        queue, told = MemoryQueue(fault), list[Attempt]()
        async with running(queue, told) as committer:
            attempts = [claimed(queue, n) for n in range(BATCH + 200)]
            committer.put(attempts)
            await asyncio.sleep(2)
            assert committer.health() == []
            assert error.__name__ in (committer.waiting_for or "")
            await asyncio.sleep(SILENT_SECONDS)
            assert f"{BATCH + 200} wait" in committer.health()[0]
            assert told == []
            assert committer.unrecorded == len(attempts)
            # No storm.
            assert queue.calls["record"] < 40
            await asyncio.sleep(until - asyncio.get_running_loop().time() + 7)
            assert committer.unrecorded == 0
            assert (committer.health(), committer.waiting_for) == ([], None)
        assert sorted(told) == sorted(attempts)
        assert results(queue) == {DeliveryResult.SENT: len(attempts)}

    in_virtual_time(trial())


@pytest.mark.parametrize("error", [asyncpg.DataError, asyncpg.RaiseError, ValueError])
def test_a_result_with_a_fault_of_its_own_waits_alone(error: type[Exception]) -> None:
    bad = {UUID(int=3), UUID(int=77), UUID(int=401)}

    async def trial() -> None:
        def fault(_: str, messages: Sequence[Attempted]) -> tuple[Exception, bool] | None:
            found = any(each.case_id in bad for each in messages)
            return (error("not this one"), False) if found else None

        queue, told = MemoryQueue(fault), list[Attempt]()
        async with running(queue, told) as committer:
            committer.put([claimed(queue, n) for n in range(BATCH)])
            for more in range(120):
                await asyncio.sleep(1)
                committer.put([claimed(queue, BATCH + more)])
            await asyncio.sleep(1)
            assert {each.case_id for each in committer.held} == bad
            assert committer.unrecorded == len(bad)
            assert sum(results(queue).values()) == BATCH + 120 - len(bad)
            assert f"3 results cannot be recorded: {error.__name__}" in committer.health()[0]
            bad.clear()
            await asyncio.sleep(10)
            assert committer.unrecorded == 0
            assert committer.health() == []
        assert results(queue) == {DeliveryResult.SENT: BATCH + 120}

    in_virtual_time(trial())


def test_a_message_to_be_tried_again_stays_in_the_queue() -> None:
    async def trial() -> None:
        queue, told = MemoryQueue(), list[Attempt]()
        async with running(queue, told) as committer:
            attempt = claimed(queue, 1)._replace(outcome=Outcome(None, "busy"))
            committer.put([attempt])
            await asyncio.sleep(1)
        assert told == [attempt]
        [row] = queue.waiting.values()
        assert row.sending_by is None
        assert row.not_before > now()
        assert row.due.recipient == REPORTER

    in_virtual_time(trial())


def test_cancelled_in_the_middle_it_ends() -> None:
    async def trial() -> None:
        queue = MemoryQueue(lambda *_: (OSError(), False))
        async with running(queue, []) as committer:
            committer.put([claimed(queue, 1)])
            await asyncio.sleep(0.5)
        assert committer.unrecorded == 1

    in_virtual_time(trial())


def test_an_error_of_whoever_is_told_ends_it() -> None:
    """Not one of the database: the process is to end by it."""

    def broken(_: Sequence[Attempt]) -> None:
        raise LookupError

    async def trial() -> None:
        queue = MemoryQueue()
        committer = Committer(queue, broken, lambda: 0.5)
        committer.put([claimed(queue, 1)])
        with pytest.raises(LookupError):
            await asyncio.wait_for(committer.run(), 5)

    in_virtual_time(trial())
