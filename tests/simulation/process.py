"""A process of a service, assembled of the core's real classes as ServiceHost does it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from lastmetre.common.contracts.topics import LASTING, dead_letter_topic
from lastmetre.common.kafka.consumer import BatchConsumer
from lastmetre.common.kafka.dead_letter_limit import Sender
from lastmetre.common.kafka.sender_release import Portion, SenderRelease
from lastmetre.common.kafka.subscribers import Handler
from lastmetre.common.outbox.catching_up import Adopt, CatchingUp
from lastmetre.common.outbox.messages import shard_of
from lastmetre.common.outbox.relay import Relay
from lastmetre.common.outbox.unit_of_work import NoCipher, UnitOfWork
from lastmetre.common.service.tasks import OwnedTasks
from tests.simulation.broker import PARTITIONS, Broker, SimulatedLogReader, SimulatedProducer
from tests.simulation.clock import VirtualClock
from tests.simulation.consumer import SimulatedConsumer
from tests.simulation.store import Connection, SimulatedDatabase, Store
from tests.simulation.tables import TABLES, SimulatedRelaySession
from tests.simulation.world import CURRENT, Machine, World

RETRY_SECONDS: Final = 0.5
DRAIN_SECONDS: Final = 9.0
OUTBOX_LIMIT: Final = 200


@dataclass(frozen=True)
class Core:
    """The classes under test; a mutation puts another one in their place."""

    consumer: type[BatchConsumer] = BatchConsumer
    relay: type[Relay] = Relay
    catching_up: type[CatchingUp] | None = CatchingUp
    tasks: type[OwnedTasks] = OwnedTasks
    derived_ids: bool = True


@dataclass
class Service:
    """What a service consists of, the same for each of its processes."""

    name: str
    topics: Sequence[str]
    sends_to: Sequence[str]
    handle: Callable[[Store], Handler]
    adopt: Mapping[str, Adopt]
    store: Store
    unforeseen: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: a background task meets an error that nobody foresaw."""


class Process(Machine):
    """One process; `ended` is set when it is gone, however it went."""

    def __init__(
        self, world: World, name: str, service: Service, broker: Broker, core: Core
    ) -> None:
        super().__init__(world, name)
        self.service = service
        self.ended = asyncio.Event()
        self._broker = broker
        self._core = core
        self._database = SimulatedDatabase(service.store, self)
        self._clients: list[SimulatedConsumer] = []
        self.tasks = core.tasks()
        self.consumer: BatchConsumer | None = None
        self._all: list[asyncio.Task[Any]] = []
        topics = (*service.sends_to, dead_letter_topic(service.name))
        self._shards = [shard_of(topic, p) for topic in topics for p in range(PARTITIONS)]
        self.relay = core.relay(
            service=service.name,
            open_session=self._relay_session,
            connect=self._producer,
            lasting=LASTING,
            random=Random(world.random.random()),
        )
        self._consumer_task: asyncio.Task[None] | None = None
        self._relay_task: asyncio.Task[None] | None = None
        self._stopping = False
        self.worked_at: float | None = None
        """When the background work turned last."""

    # --- its parts -------------------------------------------------------------------------

    async def _producer(self) -> SimulatedProducer:
        await self.hop()
        self._broker.check([])
        return SimulatedProducer(self._broker, self)

    @asynccontextmanager
    async def _relay_session(self) -> AsyncIterator[SimulatedRelaySession]:
        async with self._database.connection() as connection:
            session = SimulatedRelaySession(connection, self._shards)
            await session.join()
            yield session

    def _consumer_client(self) -> SimulatedConsumer:
        group = f"{self.service.name}.consumer"
        client = SimulatedConsumer(self._broker, self, group, self.service.topics)
        self._clients.append(client)
        return client

    def _unit_of_work(self, connection: Connection, consumer: str) -> UnitOfWork:
        return UnitOfWork(
            connection,
            TABLES,
            service=self.service.name,
            consumer=consumer,
            now=VirtualClock().now(),
            cipher=NoCipher(),
        )

    # --- its life ----------------------------------------------------------------------------

    def begin(self) -> None:
        """Start, as ServiceHost.start does after the pools are made."""
        CURRENT.set(self)
        self.world.tell("process begins", process=self.name)
        self._spawn("bringing up", self._bring_up, may_end=True)

    def _spawn(self, name: str, work: Any, *, may_end: bool = False) -> asyncio.Task[None]:
        task = self.tasks.spawn(name, work, may_end=may_end)
        self._all.append(task)
        return task

    async def _bring_up(self) -> None:
        await self._catch_up()
        self._relay_task = self._spawn("relay", self.relay.run)
        self._spawn("measuring", self._measure)
        self.consumer = self._core.consumer(
            "consumer",
            self.service.topics,
            self.service.handle(self.service.store),
            service=self.service.name,
            connect=self._consumer_client,
            database=self._database,
            tables=TABLES,
            outbox=self.relay,
            clock=VirtualClock(),
            cipher=NoCipher(),
            random=Random(self.world.random.random()),
        )
        self._consumer_task = self._spawn("consumer", self.consumer.run)
        if self._stopping:
            self.consumer.stop()

    async def _catch_up(self) -> None:
        while self.service.adopt and self._core.catching_up is not None:
            try:
                async with self._service_lock():
                    await self._core.catching_up(
                        database=self._database,
                        tables=TABLES,
                        reader=SimulatedLogReader(self._broker, self),
                        connect=self._producer,
                        adopt=self.service.adopt,
                        lasting=LASTING,
                        unit_of_work=lambda connection: self._unit_of_work(connection, "log"),
                        clock=VirtualClock(),
                    ).run()
                return
            except Exception as error:
                self.world.tell("catching up waits", process=self.name, error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)

    @asynccontextmanager
    async def _service_lock(self) -> AsyncIterator[None]:
        async with self._database.connection() as connection:
            while True:
                await connection.statement()
                if connection.try_lock("service"):
                    break
                await asyncio.sleep(0.1)
            yield

    async def _measure(self) -> None:
        """Back pressure, and the work that a service runs beside its consumers."""
        while True:
            self.worked_at = asyncio.get_running_loop().time()
            try:
                async with self._database.connection() as connection:
                    waiting = len(await TABLES.outbox_head(connection, self._shards, 1000))
                if waiting > OUTBOX_LIMIT:
                    self.relay.has_room.clear()
                else:
                    self.relay.has_room.set()
            except Exception as error:
                self.world.tell("measuring fails", process=self.name, error=repr(error))
            await asyncio.sleep(1.0)
            if self.service.unforeseen.is_set():
                self.service.unforeseen.clear()
                raise RuntimeError("unforeseen")

    def release(self, sender: Sender) -> asyncio.Task[Portion]:
        """One request to the API that releases a stopped sender."""
        releasing = SenderRelease(
            "consumer",
            self.service.handle(self.service.store),
            sender,
            database=self._database,
            tables=TABLES,
            unit_of_work=lambda connection: self._unit_of_work(connection, "consumer"),
            cipher=NoCipher(),
        )
        task = asyncio.ensure_future(releasing.portion(accept_dead_letters=True))
        self._all.append(task)
        return task

    # --- its end -----------------------------------------------------------------------------

    def cut_sessions(self) -> None:
        """Its connections to the database are lost."""
        self._database.cut()

    def die(self) -> None:
        """kill -9: nothing that it still does has an effect; the server rolls back."""
        if self.dead:
            return
        self.world.tell("process dies", process=self.name)
        self.dead = True
        self.thaw()
        self._database.cut()
        for client in self._clients:
            client.expire_later()
        self._finish()

    def _finish(self) -> None:
        for task in self._all:
            task.cancel()
        self.ended.set()

    def terminate(self) -> None:
        """SIGTERM: drain, as ServiceHost.stop does."""
        if not self._stopping and not self.dead:
            self._stopping = True
            self._all.append(asyncio.ensure_future(self._stop()))

    async def _stop(self) -> None:
        self.world.tell("process drains", process=self.name)
        self.tasks.stopping()
        if self.consumer:
            self.consumer.stop()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._drain()
        except TimeoutError:
            self.world.tell("the drain took too long", process=self.name)
        if not self.dead:
            await self.tasks.end()
            self.dead = True
            self._database.cut()
            self.ended.set()

    async def _drain(self) -> None:
        spared = {self._relay_task, self._consumer_task}
        consumers = [self._consumer_task] if self._consumer_task else []
        await asyncio.gather(*consumers, self.tasks.cancel(spare=spared), return_exceptions=True)
        self.relay.stop()
        if self._relay_task:
            await asyncio.wait([self._relay_task])
