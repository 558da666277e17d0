"""What the relay says of a partition that takes nothing."""

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random

from lastmetre.common.kafka.ports import Acknowledgement, BrokerError, TopicPartition
from lastmetre.common.kafka.positions import StoredOffset
from lastmetre.common.outbox.messages import OutboxBatch
from lastmetre.common.outbox.relay import Relay
from tests.simulation.clock import run_virtually
from tests.simulation.virtual_loop import VirtualLoop

STUCK = TopicPartition("dispatch.dlq", 0)
FAILS_AFTER_SECONDS = 4.0


class _Outbox:
    """Both ports of the relay: one row waits for a partition that refuses every send, in time."""

    def __init__(self) -> None:
        self.rows = [OutboxBatch(1, *STUCK, 7, [b"key"], [b"{}"], [b"body"])]

    async def balance(self, busy: Sequence[int]) -> Sequence[int]:
        return [7]

    async def head(self, shards: Sequence[int], limit: int) -> Sequence[OutboxBatch]:
        return self.rows if 7 in shards else []

    async def acknowledge(
        self,
        sent: Sequence[OutboxBatch],
        reached: Mapping[TopicPartition, StoredOffset],
        sent_in: int,
    ) -> None:
        raise AssertionError("nothing was acknowledged")

    async def writer_epoch(self) -> int:
        return 0

    async def acknowledged(self) -> Mapping[TopicPartition, StoredOffset]:
        return {}

    async def send(
        self, partition: TopicPartition, records: Sequence[tuple[bytes, bytes, bytes | None]]
    ) -> Acknowledgement:
        await asyncio.sleep(FAILS_AFTER_SECONDS)
        raise BrokerError("no leader")

    async def close(self) -> None:
        pass


def relay_of(outbox: _Outbox) -> Relay:
    @asynccontextmanager
    async def session() -> AsyncIterator[_Outbox]:
        yield outbox

    async def connect() -> _Outbox:
        return outbox

    return Relay(
        service="dispatch", open_session=session, connect=connect, lasting=frozenset(),
        random=Random(1),
    )  # fmt: skip


def test_a_partition_that_fails_again_and_again_is_told_until_nothing_waits_there() -> None:
    outbox = _Outbox()

    async def main() -> None:
        relay = relay_of(outbox)
        running = asyncio.create_task(relay.run())
        await asyncio.sleep(3)
        assert relay.missing() == []
        for _ in range(20):
            await asyncio.sleep(1)
        said = relay.missing()
        assert said == ["relay: dispatch.dlq-0 not acknowledged for 23 s"]
        outbox.rows = []
        await asyncio.sleep(FAILS_AFTER_SECONDS + 1)
        assert relay.missing() == []
        relay.stop()
        await running

    run_virtually(main())


def test_a_send_that_fails_after_the_relay_has_ended_is_no_forgotten_error() -> None:
    """Seed 104603 of the simulation: whether it was reported hung on the garbage collector."""

    async def main() -> None:
        running = asyncio.create_task(relay_of(_Outbox()).run())
        await asyncio.sleep(FAILS_AFTER_SECONDS - 1)
        running.cancel()
        await asyncio.wait([running])
        del running
        await asyncio.sleep(2)
        gc.collect()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        assert loop.unhandled == []

    run_virtually(main())
