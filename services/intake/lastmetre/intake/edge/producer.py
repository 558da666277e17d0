"""Concurrent reports on their way into Kafka, gathered by partition: one departure for many."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog
from aiokafka.errors import KafkaError

from lastmetre.common.contracts.topics import PARTITIONS
from lastmetre.common.kafka.aiokafka_clients import START_SECONDS as ACKNOWLEDGED_WITHIN_SECONDS
from lastmetre.common.kafka.aiokafka_clients import idempotent_producer
from lastmetre.common.kafka.partitioner import partitions_of

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

log = structlog.get_logger()

Headers = list[tuple[str, bytes]]

REBUILD_SECONDS: Final = 0.5
SILENT_SECONDS: Final = 2.5
"""After how long without an acknowledgement the edge is not given requests."""
APART_SECONDS: Final = 0.02
"""Between two departures: a request to the broker costs both sides more than the report in it."""


class NotTaken(Exception):
    """Kafka did not take it, or not in time: the sender may send again, its id makes that safe."""


class Report(NamedTuple):
    """A record for a channel's topic."""

    key: bytes
    value: bytes
    headers: Headers


class _Ticket:
    """One caller's wait for all of its reports."""

    __slots__ = ("done", "missing")

    def __init__(self, missing: int) -> None:
        self.missing = missing
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def acknowledge(self) -> None:
        self.missing -= 1
        if not self.missing and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: NotTaken) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class _Lane:
    """What waits for one partition. At most one batch of it is in flight."""

    __slots__ = ("busy", "partition", "topic", "waiting")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.waiting: deque[tuple[Report, _Ticket]] = deque()
        self.busy = False


class EdgeProducer:
    """Takes reports into Kafka with acks=all; a producer that failed once is thrown away.

    `bytes_limit` bounds what is held in memory: bodies being read and records not yet
    acknowledged. `within` is how long a caller waits, seconds.
    """

    def __init__(self, bootstrap: str, *, prefix: str, bytes_limit: int, within: float) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._bytes_limit = bytes_limit
        self._within = within
        self._bytes = 0
        self._producer: AIOKafkaProducer | None = None
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._flights: set[asyncio.Task[None]] = set()
        self._departure: asyncio.TimerHandle | None = None
        self._departed_at = 0.0
        self._broken = asyncio.Event()
        self._sent_at: dict[tuple[str, int], float] = {}
        self._acknowledged_at = 0.0

    def missing(self) -> list[str]:
        """What keeps reports from being taken; empty while Kafka acknowledges, or nothing waits."""
        if self._producer is None:
            return ["the edge: Kafka does not answer"]
        if not self._sent_at:
            return []
        since = max(min(self._sent_at.values()), self._acknowledged_at)
        silent = asyncio.get_running_loop().time() - since
        if silent < SILENT_SECONDS:
            return []
        return [f"the edge: Kafka has acknowledged nothing for {silent:.0f} s"]

    def hold(self, size: int) -> None:
        """Count bytes in; raises NotTaken over the limit. Call `release` when they are gone."""
        if self._bytes + size > self._bytes_limit:
            raise NotTaken("too many bytes in flight")
        self._bytes += size

    def release(self, size: int) -> None:
        """Count bytes out."""
        self._bytes -= size

    async def run(self) -> None:
        """Keep a working producer until cancelled."""
        while True:
            self._broken.clear()
            try:
                async with idempotent_producer(self._bootstrap, "intake-edge") as producer:
                    self._producer = producer
                    self._depart_soon()
                    await self._broken.wait()
                    self._producer = None
                    await self._ground()
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("the edge waits for Kafka", error=type(error).__name__)
            finally:
                self._producer = None
            self._drop_given_up()
            await asyncio.sleep(REBUILD_SECONDS)

    async def send(self, topic: str, reports: Sequence[Report]) -> None:
        """Returns once Kafka has all of `reports`; raises NotTaken, and then it may have some."""
        if not reports:
            return
        self.hold(sum(len(report.value) for report in reports))
        ticket = _Ticket(len(reports))
        partitions = partitions_of([report.key for report in reports], PARTITIONS)
        for report, partition in zip(reports, partitions, strict=True):
            self._lane(topic, partition).waiting.append((report, ticket))
        self._depart_soon()
        try:
            async with asyncio.timeout(self._within):
                await ticket.done
        except TimeoutError as error:
            raise NotTaken("no acknowledgement in time") from error

    def _lane(self, topic: str, partition: int) -> _Lane:
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = _Lane(self._prefix + topic, partition)
        return lane

    def _depart_soon(self) -> None:
        """At once, unless the last departure was just now."""
        if self._departure is None:
            at = self._departed_at + APART_SECONDS
            self._departure = asyncio.get_running_loop().call_at(at, self._depart)

    def _depart(self) -> None:
        self._departure = None
        if self._producer is None:
            return
        self._departed_at = asyncio.get_running_loop().time()
        for lane in self._lanes.values():
            if lane.waiting and not lane.busy:
                lane.busy = True
                flight = asyncio.create_task(self._fly(lane, self._producer))
                self._flights.add(flight)
                flight.add_done_callback(self._flights.discard)

    async def _fly(self, lane: _Lane, producer: "AIOKafkaProducer") -> None:
        """Send what waits in a lane, as much as fits a batch."""
        try:
            await self._send_batch(lane, producer)
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("the edge builds a new producer", error=type(error).__name__)
            self._broken.set()
        finally:
            lane.busy = False
            if lane.waiting:
                self._depart_soon()

    async def _send_batch(self, lane: _Lane, producer: "AIOKafkaProducer") -> None:
        batch = producer.create_batch()
        aboard: list[_Ticket] = []
        size = 0
        while lane.waiting:
            report, ticket = lane.waiting[0]
            if not ticket.done.done():
                added = batch.append(
                    key=report.key, value=report.value, timestamp=None, headers=report.headers
                )
                if added is None:
                    break
                aboard.append(ticket)
            lane.waiting.popleft()
            size += len(report.value)
        try:
            if aboard:
                self._sent_at[lane.topic, lane.partition] = asyncio.get_running_loop().time()
                async with asyncio.timeout(ACKNOWLEDGED_WITHIN_SECONDS):
                    sent = await producer.send_batch(batch, lane.topic, partition=lane.partition)
                    await sent
        except BaseException:
            for ticket in aboard:
                ticket.fail(NotTaken("Kafka did not take it"))
            raise
        finally:
            self._sent_at.pop((lane.topic, lane.partition), None)
            self.release(size)
        self._acknowledged_at = asyncio.get_running_loop().time()
        for ticket in aboard:
            ticket.acknowledge()

    async def _ground(self) -> None:
        """Give up what is in flight with a broken producer; what has not departed waits."""
        flights = list(self._flights)
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _drop_given_up(self) -> None:
        """Forget what nobody waits for any more, so that an outage does not fill the memory."""
        for lane in self._lanes.values():
            kept = [each for each in lane.waiting if not each[1].done.done()]
            self.release(
                sum(len(report.value) for report, ticket in lane.waiting if ticket.done.done())
            )
            lane.waiting = deque(kept)
