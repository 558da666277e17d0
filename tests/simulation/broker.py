"""An in-memory broker: topics, consumer groups with eager rebalances, and what goes wrong."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.ports import (
    Acknowledgement,
    BrokerError,
    OffsetRange,
    TopicPartition,
)
from tests.simulation.group import Group
from tests.simulation.log import Outgoing, PartitionLog
from tests.simulation.world import Machine, World

PARTITIONS: Final = 3
METADATA_SECONDS: Final = 20.0
REQUEST_SECONDS: Final = 4.0


@dataclass
class Trouble:
    """How often the broker does wrong, while a fault lasts."""

    lost_answer: float = 0.0
    refused: float = 0.0
    unreadable: float = 0.0
    no_answer: float = 0.0
    in_flight_seconds: float = 0.5
    """At most: for so long a batch is under way, and arrives whatever its sender has become."""


class Broker:
    """Every topic has the same number of partitions."""

    def __init__(self, world: World, topics: Sequence[str]) -> None:
        self.world = world
        self.logs: dict[TopicPartition, PartitionLog] = {}
        self.topic_ids: dict[str, UUID] = {}
        self.groups: dict[str, Group] = {}
        self.trouble = Trouble()
        self._background: set[asyncio.Task[None]] = set()
        for topic in topics:
            self.create(topic)

    def create(self, topic: str) -> None:
        """A topic, empty; whoever subscribes to it hears of it."""
        self.topic_ids[topic] = UUID(int=self.world.random.getrandbits(128))
        for number in range(PARTITIONS):
            self.logs[TopicPartition(topic, number)] = PartitionLog(TopicPartition(topic, number))

    def recreate(self, topic: str, *, noticed: bool) -> None:
        """Delete a topic and make it anew; readers may notice, or read on where they were."""
        self.world.topic_made_anew = True
        self.create(topic)
        if noticed:
            for group in self.groups.values():
                if topic in group.topics:
                    group.trigger()

    def group(self, name: str, topics: Sequence[str]) -> Group:
        """The group of that name."""
        if name not in self.groups:
            partitions = sorted(each for each in self.logs if each.topic in topics)
            self.groups[name] = Group(self.world, name, tuple(topics), partitions)
        return self.groups[name]

    def spawn(self, work: "asyncio.Future[None] | asyncio.Task[None]") -> None:
        """Keep a task of the broker's own."""
        assert isinstance(work, asyncio.Task)
        self._background.add(work)
        work.add_done_callback(self._background.discard)

    def check(self, partitions: Collection[TopicPartition]) -> None:
        """Raise where a partition cannot answer."""
        for partition in partitions:
            if not self.logs[partition].has_leader:
                raise BrokerError(f"{partition} has no leader")
        if self.trouble.no_answer and self.world.random.random() < self.trouble.no_answer:
            raise BrokerError("no answer")


class SimulatedProducer:
    """A `ProducerClient`: idempotent, and broken from the first failed send on."""

    def __init__(self, broker: Broker, machine: Machine) -> None:
        self._broker = broker
        self._machine = machine
        self._broken: set[TopicPartition] = set()
        self._closed = False
        self._random = broker.world.random

    async def send(self, partition: TopicPartition, records: Sequence[Outgoing]) -> Acknowledgement:
        """Append as one batch."""
        await self._machine.hop()
        if partition in self._broken:
            raise BrokerError("OutOfOrderSequenceNumber")
        trouble = self._broker.trouble
        if self._random.random() < trouble.refused:
            self._broken.add(partition)
            raise BrokerError("refused")
        answer: asyncio.Future[Acknowledgement] = asyncio.get_running_loop().create_future()
        self._broker.spawn(asyncio.create_task(self._deliver(partition, list(records), answer)))
        try:
            acknowledged = await answer
            if self._random.random() < trouble.lost_answer:
                self._broken.add(partition)
                raise BrokerError("the answer was lost")
            await self._machine.hop()
        except asyncio.CancelledError:
            self._broken.add(partition)
            raise
        return acknowledged

    async def _deliver(
        self,
        partition: TopicPartition,
        records: Sequence[Outgoing],
        answer: "asyncio.Future[Acknowledgement]",
    ) -> None:
        """On the wire: what waits for a leader is dropped with its connection, what is under way
        may arrive after the producer was closed."""
        while not self._broker.logs[partition].has_leader:
            await asyncio.sleep(0.1)
            if self._closed or self._machine.dead:
                return
        await asyncio.sleep(self._random.random() ** 4 * self._broker.trouble.in_flight_seconds)
        log = self._broker.logs[partition]
        if not log.has_leader or (self._machine.dead and self._random.random() < 0.5):
            return
        if self._closed:
            self._broker.world.tell("a closed producer delivers late", partition=partition)
        found = log.append(records)
        self._broker.world.tell(
            "append", by=self._machine.name, partition=partition, offset=found.offset,
            records=len(records),
        )  # fmt: skip
        if not answer.done():
            answer.set_result(found)

    async def close(self) -> None:
        """Drop what is queued."""
        self._closed = True


class SimulatedLogReader:
    """A `LogReader`."""

    def __init__(self, broker: Broker, machine: Machine) -> None:
        self._broker = broker
        self._machine = machine

    async def _ask(self, partitions: Collection[TopicPartition]) -> None:
        await self._machine.hop()
        self._broker.check(partitions)

    async def end_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The offset after each partition's last record."""
        await self._ask(partitions)
        return {each: self._broker.logs[each].end for each in partitions}

    async def beginning_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The first offset that each still holds."""
        await self._ask(partitions)
        return {each: self._broker.logs[each].beginning for each in partitions}

    async def read(
        self, wanted: Mapping[TopicPartition, OffsetRange], max_records: int
    ) -> Mapping[TopicPartition, Sequence[ConsumedRecord]]:
        """Records of some of these partitions, as a fetch may bring them."""
        random = self._broker.world.random
        some = random.sample(list(wanted), random.randint(1, len(wanted)))
        await self._ask(some)
        return {
            each: [
                record
                for record in self._broker.logs[each].fetch(wanted[each].first, max_records).records
                if record.offset < wanted[each].end
            ]
            for each in some
        }

    async def close(self) -> None:
        """Nothing to let go of."""
