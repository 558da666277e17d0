"""A member of a group, as aiokafka behaves: fetching, seeking, pausing, rebalancing."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.ports import AssignmentListener, BrokerError, TopicPartition
from tests.simulation.broker import Broker
from tests.simulation.group import HEARTBEAT_SECONDS, SESSION_SECONDS
from tests.simulation.world import Machine

WATCH_SECONDS: Final = 1.0


class SimulatedConsumer:
    """A `ConsumerClient`."""

    def __init__(self, broker: Broker, machine: Machine, group: str, topics: Sequence[str]) -> None:
        self._broker = broker
        self._machine = machine
        self._group = broker.group(group, topics)
        self._random = broker.world.random
        self._offsets: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._generation = 0
        self._share: asyncio.Future[tuple[int, list[TopicPartition]]] | None = None
        self._listener: AssignmentListener | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.must_rejoin = asyncio.Event()

    # --- the group -----------------------------------------------------------------------

    async def start(self, listener: AssignmentListener) -> None:
        """Join the group."""
        await self._machine.hop()
        self._broker.check([])
        self._listener = listener
        self._group.enter(self)
        self._tasks = [
            asyncio.create_task(self._coordinate()),
            asyncio.create_task(self._keep_session()),
        ]
        await self._machine.hop()

    async def _keep_session(self) -> None:
        """Heartbeats of a process that stands still, or is dead, do not come."""
        silent = 0.0
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            silent = silent + WATCH_SECONDS if self._machine.frozen else 0.0
            if silent >= SESSION_SECONDS:
                self._group.leave(self)

    def expire_later(self) -> None:
        """The process was killed: nobody says goodbye."""
        for task in self._tasks:
            task.cancel()
        asyncio.get_running_loop().call_later(SESSION_SECONDS, self._group.leave, self)

    def hand_over(self, generation: int, partitions: list[TopicPartition]) -> None:
        """The group's answer to a join."""
        if self._share is not None and not self._share.done():
            self._share.set_result((generation, partitions))

    async def _coordinate(self) -> None:
        assert self._listener is not None
        while True:
            await self._until_told()
            self.must_rejoin.clear()
            if self._generation:
                with suppress(Exception):  # aiokafka logs what a listener raises, and goes on
                    await self._listener.on_revoked()
                await self._machine.hop()
            self.must_rejoin.clear()
            self._share = asyncio.get_running_loop().create_future()
            if self not in self._group.members:
                self._group.enter(self)
            self._group.join(self)
            while not self._share.done() and not self.must_rejoin.is_set():
                waiting = asyncio.create_task(self.must_rejoin.wait())
                either: list[asyncio.Future[Any]] = [self._share, waiting]
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if self.must_rejoin.is_set() and not self._share.done():
                    self.must_rejoin.clear()
                    self._group.join(self)
            if not self._share.done():
                continue
            await self._install(*self._share.result())

    async def _until_told(self) -> None:
        """A heartbeat's answer tells of a rebalance, or that the session is over."""
        while not self.must_rejoin.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self.must_rejoin.wait(), HEARTBEAT_SECONDS * (0.5 + self._random.random())
                )
            await self._machine.hop()
            if self not in self._group.members:
                return

    async def _install(self, generation: int, partitions: list[TopicPartition]) -> None:
        """The assignment stands before the listener hears of it, and fetching may begin."""
        assert self._listener is not None
        await self._machine.hop()
        self._generation = generation
        self._paused.clear()
        self._offsets = {each: self._group.committed.get(each, 0) for each in partitions}
        await asyncio.sleep(self._random.random() * 0.1)
        with suppress(Exception):
            await self._listener.on_assigned(set(partitions))

    # --- reading ---------------------------------------------------------------------------

    async def poll(
        self, max_records: int, timeout_seconds: float
    ) -> Mapping[TopicPartition, Sequence[ConsumedRecord]]:
        """What there is; waits for it up to the timeout."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while True:
            found = await self._fetch(max_records)
            left = deadline - asyncio.get_running_loop().time()
            if found or left <= 0:
                return found
            await self._wait_for_records(left)

    async def _wait_for_records(self, seconds: float) -> None:
        logs = [self._broker.logs[each] for each in self._offsets if each not in self._paused]
        if any(log.end > self._offsets[log.partition] and log.has_leader for log in logs):
            return
        waiting = [asyncio.ensure_future(log.changed.wait()) for log in logs]
        if not waiting:
            await asyncio.sleep(seconds)
            return
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    async def _fetch(self, limit: int) -> dict[TopicPartition, list[ConsumedRecord]]:
        """What was fetched before a seek or a rebalance is dropped: its offset does not match."""
        asked = dict(self._offsets)
        fetched = {
            partition: self._broker.logs[partition].fetch(offset, limit)
            for partition, offset in sorted(asked.items())
            if self._broker.logs[partition].has_leader
        }
        await self._machine.hop()
        taken: dict[TopicPartition, list[ConsumedRecord]] = {}
        left = limit
        order = list(fetched)
        self._random.shuffle(order)
        for partition in order:
            if partition in self._paused or self._offsets.get(partition) != asked[partition]:
                continue
            records, next_offset = fetched[partition]
            if self._random.random() < self._broker.trouble.unreadable:
                raise BrokerError("a fetch that cannot be read")
            if len(records) > left:
                records, next_offset = records[:left], records[left].offset
            if records:
                taken[partition] = records
            left -= len(records)
            self._offsets[partition] = next_offset
        return taken

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from `offset`."""
        if partition in self._offsets:
            self._offsets[partition] = offset

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Hand out nothing of these."""
        self._paused.update(each for each in partitions if each in self._offsets)

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        """Hand them out again."""
        self._paused.difference_update(partitions)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """A commit of an old generation is refused."""
        await self._machine.hop()
        self._broker.check([])
        if self not in self._group.members or self._generation != self._group.generation:
            raise BrokerError("CommitFailedError")
        self._group.committed.update(offsets)

    async def beginning_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The first offset that each still holds."""
        await self._machine.hop()
        self._broker.check(partitions)
        return {each: self._broker.logs[each].beginning for each in partitions}

    async def end_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The offset after each partition's last record."""
        await self._machine.hop()
        self._broker.check(partitions)
        return {each: self._broker.logs[each].end for each in partitions}

    async def topic_ids(self) -> Mapping[str, UUID]:
        """A topic that was made anew has another one."""
        await self._machine.hop()
        self._broker.check([])
        return {topic: self._broker.topic_ids[topic] for topic in self._group.topics}

    async def close(self) -> None:
        """Leave the group."""
        if self._machine.dead:
            self.expire_later()
            return
        for task in self._tasks:
            task.cancel()
        self._group.leave(self)
