"""Whoever waits can be cancelled at any moment, that of what it waits for too (seed 819270)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import pytest

from lastmetre.common.kafka.ports import Acknowledgement, TopicPartition
from lastmetre.common.kafka.waiting import Waiting
from lastmetre.common.service.tasks import OwnedTasks, cancel_until_gone
from tests.support.virtual_time import in_virtual_time
from tests.unit.core.test_relay_without_broker import relay_of

Begun = Callable[[], Awaitable[tuple[asyncio.Task[None], Callable[[], None]]]]
"""The task, and what it waits for."""


class IdleProducer:
    """Nothing is sent by it."""

    def send(
        self, partition: TopicPartition, records: Sequence[tuple[bytes, bytes, bytes | None]]
    ) -> Awaitable[Acknowledgement]:
        raise AssertionError("nothing waits in the outbox")

    async def close(self) -> None:
        return


async def _connect() -> IdleProducer:
    return IdleProducer()


async def _relay() -> tuple[asyncio.Task[None], Callable[[], None]]:
    relay = relay_of([], _connect)
    return asyncio.create_task(relay.run()), relay.wake


async def _consumer() -> tuple[asyncio.Task[None], Callable[[], None]]:
    waiting, event = Waiting("test", "test", Random(1)), asyncio.Event()

    async def run() -> None:
        while True:
            await waiting.until(event, "an event", 60.0)
            event.clear()

    return asyncio.create_task(run()), event.set


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("begun", [_relay, _consumer])
def test_what_it_waits_for_and_its_end_come_together(begun: Begun, turns: int) -> None:
    async def run() -> None:
        task, wake = await begun()
        await asyncio.sleep(0.1)
        wake()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=60.0)
        assert task.cancelled()

    in_virtual_time(run())


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_task_that_keeps_cancellations_to_itself_is_cancelled_again(kept: int) -> None:
    async def run() -> None:
        left = kept

        async def works() -> None:
            nonlocal left
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    left -= 1
                    if left < 0:
                        raise

        tasks = OwnedTasks()
        tasks.stopping()
        task = tasks.spawn("work", works)
        await asyncio.sleep(0)
        await tasks.end()
        assert task.cancelled()
        assert tasks.running == []
        await cancel_until_gone([])

    in_virtual_time(run())
