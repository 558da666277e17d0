"""A consumer group: eager rebalances, session timeouts, members that do not know they are out."""

import asyncio
from typing import TYPE_CHECKING, Final

from lastmetre.common.kafka.ports import TopicPartition
from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.consumer import SimulatedConsumer

SESSION_SECONDS: Final = 6.0
REBALANCE_SECONDS: Final = 60.0
HEARTBEAT_SECONDS: Final = 1.5


class Group:
    """Its members, who has which partitions, and the offsets that Kafka itself was told."""

    def __init__(
        self, world: World, name: str, topics: tuple[str, ...], partitions: list[TopicPartition]
    ) -> None:
        self.world = world
        self.name = name
        self.topics = topics
        self.partitions = partitions
        self.committed: dict[TopicPartition, int] = {}
        self.generation = 0
        self.members: list[SimulatedConsumer] = []
        self._joined: set[int] = set()
        self._changed = asyncio.Event()
        self._again = False
        self._task: asyncio.Task[None] | None = None

    @property
    def rebalancing(self) -> bool:
        """Whether members are being asked to join again."""
        return self._task is not None

    def enter(self, member: "SimulatedConsumer") -> None:
        """A member comes."""
        self.members.append(member)
        self.trigger()

    def leave(self, member: "SimulatedConsumer") -> None:
        """A member goes, or is taken for gone."""
        if member in self.members:
            self.members.remove(member)
            self.trigger()

    def trigger(self) -> None:
        """Begin a rebalance; one that is under way is begun again."""
        self._again = True
        self._changed.set()
        if self._task is None:
            self._task = asyncio.create_task(self._rebalance())

    def join(self, member: "SimulatedConsumer") -> None:
        """The member has given up what it had and waits for its part."""
        self._joined.add(id(member))
        self._changed.set()
        if self._task is None:
            self.trigger()

    async def _rebalance(self) -> None:
        while self._again:
            self._again = False
            self._joined.clear()
            await asyncio.sleep(self.world.random.random() * 0.3)
            for member in self.members:
                member.must_rejoin.set()
            await self._until_all_joined()
        self._task = None
        self.generation += 1
        self.world.tell(
            "rebalanced", group=self.name, generation=self.generation, members=len(self.members)
        )
        for number, member in enumerate(self.members):
            member.hand_over(self.generation, self.partitions[number :: len(self.members)])

    async def _until_all_joined(self) -> None:
        deadline = asyncio.get_running_loop().time() + REBALANCE_SECONDS
        while not self._again and any(id(each) not in self._joined for each in self.members):
            self._changed.clear()
            left = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._changed.wait(), max(left, 0.001))
            except TimeoutError:
                self.members = [each for each in self.members if id(each) in self._joined]
