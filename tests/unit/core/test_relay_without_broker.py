"""A relay whose broker is away says so, and ends when it is told to and nothing is left."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random

import pytest

from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.codec import OutboxMessage, packed
from lastmetre.common.kafka.ports import BrokerError, ProducerClient, TopicPartition
from lastmetre.common.kafka.positions import StoredOffset
from lastmetre.common.outbox.messages import OutboxBatch, batches_of
from lastmetre.common.outbox.relay import Relay
from tests.support.virtual_time import in_virtual_time


class Session:
    """Owns the one shard there is, with these rows in it."""

    def __init__(self, rows: Sequence[OutboxBatch]) -> None:
        self._rows = rows

    async def balance(self, _: Sequence[int]) -> Sequence[int]:
        return [0]

    async def head(self, _: Sequence[int], limit: int) -> Sequence[OutboxBatch]:
        return self._rows[:limit]

    async def acknowledge(
        self,
        sent: Sequence[OutboxBatch],
        reached: Mapping[TopicPartition, StoredOffset],
        sent_in: int,
    ) -> None:
        raise AssertionError("nothing can have been sent")

    async def writer_epoch(self) -> int:
        return 0

    async def acknowledged(self) -> Mapping[TopicPartition, StoredOffset]:
        return {}


async def no_broker() -> ProducerClient:
    await asyncio.sleep(2.0)
    raise BrokerError("the broker is away")


def relay_of(
    rows: Sequence[OutboxBatch],
    connect: Callable[[], Awaitable[ProducerClient]] = no_broker,
) -> Relay:
    @asynccontextmanager
    async def open_session() -> AsyncIterator[Session]:
        yield Session(rows)

    return Relay(
        service="test",
        open_session=open_session,
        connect=connect,
        lasting=frozenset(),
        random=Random(1),
    )


@pytest.mark.parametrize("stopped_after", [0.0, 10.0])
def test_with_an_empty_outbox_it_ends_though_the_broker_is_away(stopped_after: float) -> None:
    async def run() -> None:
        relay = relay_of([])
        running = asyncio.create_task(relay.run())
        await asyncio.sleep(stopped_after)
        relay.stop()
        await asyncio.wait_for(running, 9.0)
        assert relay.missing() == []

    in_virtual_time(run())


def test_it_waits_for_a_broker_while_it_asks_for_one_again() -> None:
    async def run() -> None:
        relay = relay_of([])
        running = asyncio.create_task(relay.run())
        await asyncio.sleep(2.5)
        for _ in range(100):
            assert relay.missing() == ["relay: waiting, BrokerError"]
            await asyncio.sleep(0.1)
        running.cancel()

    in_virtual_time(run())


def test_with_a_row_left_it_goes_on_trying_and_says_so() -> None:
    [new] = batches_of([OutboxMessage(CASE_EVENTS, b"k", packed({}), b"body")])
    row = OutboxBatch(1, new.topic, new.partition, 0, new.keys, new.headers, new.bodies)

    async def run() -> None:
        relay = relay_of([row])
        running = asyncio.create_task(relay.run())
        relay.stop()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(running), 60.0)
        assert relay.missing() == ["relay: waiting, BrokerError"]
        running.cancel()

    in_virtual_time(run())
