"""A whole run: two services of two processes, a partner, faults, and the books."""

import asyncio
import contextvars
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from unittest import mock

import structlog

from lastmetre.common.contracts.topics import CASE_EVENTS, dead_letter_topic
from lastmetre.common.kafka import dead_letter_limit
from lastmetre.common.kafka.codec import packed
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.common.kafka.ports import TopicPartition
from lastmetre.common.kafka.positions import PartitionPositions
from lastmetre.common.outbox import catching_up, messages
from lastmetre.common.service import tasks
from tests.simulation.books import Accepted, IdsSeen, unfinished, wrong
from tests.simulation.broker import PARTITIONS, Broker
from tests.simulation.clock import run_virtually
from tests.simulation.faults import Fault, drawn, strike
from tests.simulation.process import Core, Process, Service
from tests.simulation.service import CHANNEL, reading, registering
from tests.simulation.store import Store
from tests.simulation.virtual_loop import Deadlock, VirtualLoop
from tests.simulation.world import CURRENT, World

QUIET_WITHIN: Final = 150.0
LOOK_SECONDS: Final = 1.0
IDLE_SECONDS: Final = 15.0
FLOODER: Final = b"flooder"
KINDS: Final = ("contract", "data", "mistake")
LIMIT_RECORDS: Final = 20
MOST_BAD: Final = LIMIT_RECORDS // 2
"""In a partition: with more of them the partner may rightly be stopped, whom nobody releases."""


class Partner:
    """Writes to the channel; what it was told to be taken, it does not send again."""

    def __init__(self, city: "City", records: int, seconds: float) -> None:
        self._city = city
        self._records = records
        self._seconds = seconds
        self._bad: Counter[TopicPartition] = Counter()

    async def run(self) -> None:
        """Good records, bad ones among them, and repetitions."""
        random = self._city.random
        for number in range(self._records):
            await asyncio.sleep(random.random() * 2 * self._seconds / self._records)
            case = f"case{random.randrange(8)}"
            kind = random.choice(KINDS) if random.random() < 0.04 else "good"
            if self._bad[_partition(case)] > MOST_BAD - 2:
                kind = "good"
            identity = f"r{number}"
            accepted = self._city.accepted
            await self._send(identity, case, kind, b"partner")
            (accepted.good if kind == "good" else accepted.bad).add(identity)
            if random.random() < 0.1:
                await self._send(identity, case, kind, b"partner")

    async def send_bad(self, identity: str) -> None:
        """One of a flood, all into one partition."""
        self._city.accepted.flooded.add(identity)
        await self._send(identity, "case0", "contract", FLOODER)

    async def send_good(self, identity: str) -> None:
        """By the same sender, who has mended what was wrong."""
        self._city.accepted.good.add(identity)
        await self._send(identity, "case0", "good", FLOODER)

    async def _send(self, identity: str, case: str, kind: str, source: bytes) -> None:
        partition = _partition(case)
        self._bad[partition] += source != FLOODER and kind != "good"
        while not self._city.broker.logs[partition].has_leader:
            await self._city.broker.logs[partition].changed.wait()
        body = f"{identity} {case} {kind}".encode()
        headers = packed({"ce_source": source.decode()})
        self._city.broker.logs[partition].append([(case.encode(), headers, body)])


def _partition(case: str) -> TopicPartition:
    return TopicPartition(CHANNEL, partitions_of([case.encode()], PARTITIONS)[0])


class City:
    """What a run consists of."""

    def __init__(self, world: World, core: Core, *, records: int, processes: int) -> None:
        self.world = world
        self.random = world.random
        self.accepted = Accepted()
        self.restored_while_stopped = self.random.random() < 0.5
        self.snapshots_held = 0
        topics = [CHANNEL, CASE_EVENTS, dead_letter_topic("dispatch"), dead_letter_topic("notify")]
        self.broker = Broker(world, topics)
        self.dispatch = Store(world, "dispatch")
        self.notify = Store(world, "notify")
        self.dispatch.on_commit = IdsSeen(world).look
        self.services = [registering(world, self.dispatch, core), reading(self.notify)]
        self.processes: list[Process] = []
        self._ended: list[Process] = []
        self.partner = Partner(self, records, 12.0)
        self._core = core
        self._supervisors = [
            asyncio.create_task(self._supervise(service, number))
            for service in self.services
            for number in range(processes)
        ]

    def any_store(self) -> Store:
        """One of the databases; dispatch's more often."""
        return self.random.choice((self.dispatch, self.dispatch, self.notify))

    def any_process(self) -> Process:
        """One of those that run, or ended last."""
        return self.random.choice(self.processes or self._ended)

    def any_service(self) -> Service:
        """One of the two."""
        return self.random.choice(self.services)

    async def _supervise(self, service: Service, number: int) -> None:
        """Starts again what has ended."""
        lives = 0
        await asyncio.sleep(self.random.random() * 0.5)
        while True:
            lives += 1
            name = f"{service.name}-{number}.{lives}"
            process = Process(self.world, name, service, self.broker, self._core)
            self.processes.append(process)
            contextvars.copy_context().run(process.begin)
            await process.ended.wait()
            self.processes.remove(process)
            self._ended = [process]
            await asyncio.sleep(0.3 + self.random.random())

    async def quiet(self) -> str | None:
        """Wait until nothing is under way; returns what still is when it takes too long."""
        deadline = asyncio.get_running_loop().time() + QUIET_WITHIN
        still: str | None = "not looked yet"
        while still and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
            still = unfinished(self.broker, self.dispatch, self.notify)
        return still

    def idle_work(self) -> list[str]:
        """Processes that live on though their background work has ended."""
        now = asyncio.get_running_loop().time()
        return [
            f"{each.name} lives without its background work"
            for each in self.processes
            if each.worked_at is not None and now - each.worked_at > IDLE_SECONDS
        ]

    def end(self) -> None:
        """Stop everything."""
        for supervisor in self._supervisors:
            supervisor.cancel()
        for process in list(self.processes):
            process.die()


@dataclass(frozen=True)
class Outcome:
    """What became of a run."""

    seed: int
    wrong: list[str]
    trace: list[str]
    faults: list[str]
    seconds: float
    """Virtual ones."""


Plan = Callable[[City], Sequence[Fault]]


async def _run(world: World, core: Core, plan: Plan, records: int, processes: int) -> list[str]:
    city = City(world, core, records=records, processes=processes)
    faults = list(plan(city))
    world.ended_because = [getattr(each, "__name__", "scripted") for each in faults]
    await asyncio.gather(city.partner.run(), strike(city, faults, 14.0))
    await asyncio.sleep(5.0)
    still = await city.quiet()
    found = list(world.complaints)
    if still:
        found.append(f"stuck: {still}")
    found += wrong(city.broker, city.dispatch, city.notify, city.accepted)
    found += city.idle_work()
    loop: Any = asyncio.get_running_loop()
    found += [f"unhandled: {each.get('exception')!r}" for each in _unhandled(loop)]
    world.tell("end", still=still)
    city.end()
    await asyncio.sleep(10.0)
    return found


def _unhandled(loop: VirtualLoop) -> list[dict[str, Any]]:
    return [each for each in loop.unhandled if "exception" in each]


@contextmanager
def _small_world(world: World) -> Iterator[None]:
    """Fewer partitions and a shorter window; SIGTERM goes to the process whose code raises it."""
    before = structlog.get_config()

    def told(_: Any, __: str, event: MutableMapping[str, Any]) -> Any:
        if world.tracing:
            world.tell(f"  log: {event.pop('event')}", by=CURRENT.get(None), **event)
        raise structlog.DropEvent

    really = PartitionPositions.begins_anew

    def begins_anew(self: PartitionPositions, client: Any, partition: Any, found: int) -> None:
        if not world.topic_made_anew:
            world.complain(f"{partition} is taken for a topic that was made anew")
        really(self, client, partition, found)

    structlog.configure(
        processors=[told],
        wrapper_class=structlog.make_filtering_bound_logger(0 if world.tracing else 50),
    )
    signals = mock.Mock()
    signals.raise_signal = lambda _: CURRENT.get().terminate()
    with (
        mock.patch.object(messages, "PARTITIONS", PARTITIONS),
        mock.patch.object(catching_up, "PARTITIONS", PARTITIONS),
        mock.patch.object(dead_letter_limit, "WINDOW_RECORDS", LIMIT_RECORDS),
        mock.patch.object(tasks, "signal", signals),
        mock.patch.object(PartitionPositions, "begins_anew", begins_anew),
    ):
        yield
    structlog.configure(**before)


def simulate(
    seed: int,
    core: Core | None = None,
    plan: Plan = drawn,
    *,
    records: int = 120,
    processes: int = 2,
    tracing: bool = False,
) -> Outcome:
    """One run. The same seed gives the same run, in any process with the same PYTHONHASHSEED."""
    world = World(seed, tracing=tracing)
    with _small_world(world):
        now = 0.0

        async def main() -> list[str]:
            nonlocal now
            try:
                return await _run(world, core or Core(), plan, records, processes)
            finally:
                now = asyncio.get_running_loop().time()

        try:
            found = run_virtually(main())
        except Deadlock:
            found = ["everybody waits for something that never happens"]
    return Outcome(seed, found, world.trace, world.ended_because, now)
