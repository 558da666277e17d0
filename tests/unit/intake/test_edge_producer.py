"""Requests of the edge: one for many reports, and none lost when a producer breaks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from lastmetre.common.contracts.topics import PARTITIONS
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.intake.adapters import edge_producer as module
from lastmetre.intake.adapters.edge_producer import (
    FLUSH_SECONDS,
    METADATA_SECONDS,
    SILENT_SECONDS,
    EdgeProducer,
    Report,
)
from lastmetre.intake.domain.bytes_in_flight import SHARE, BytesInFlight
from lastmetre.intake.domain.submission import NotAcknowledged
from tests.simulation.clock import run_virtually

KEYS = [b"key %d" % number for number in range(50)]
LIMIT = 4000


class Batch(list[bytes]):
    def append(self, *, key: bytes, **_: Any) -> int:  # type: ignore[override]
        super().append(key)
        return len(self)


class Producer:
    """Stands in for aiokafka's: notes what is sent when, and acknowledges at once."""

    def __init__(self) -> None:
        self.client = self.cluster = self
        self.leader = 1
        self.sent: list[tuple[float, list[bytes]]] = []
        self.broken = False
        self.connected = True
        self.leaderless: set[int] = set()
        self.asked = asyncio.Event()

    def create_batch(self) -> Batch:
        return Batch()

    def leader_for_partition(self, _: object) -> int:
        return self.leader

    async def force_metadata_update(self) -> bool:
        return self.connected

    async def send_batch(self, batch: Batch, _: str, *, partition: int) -> "asyncio.Future[None]":
        if self.broken:
            raise KafkaError("broken")
        loop = asyncio.get_running_loop()
        self.asked.set()
        if partition in self.leaderless:
            return loop.create_future()
        self.sent.append((loop.time(), list(batch)))
        done = loop.create_future()
        loop.call_soon(done.set_result, None)
        return done


class Edge:
    """A running edge; each producer that it asks for is the next of `producers`, once there is
    one."""

    def __init__(self) -> None:
        self.producers: asyncio.Queue[Producer] = asyncio.Queue()
        self.asked_for = 0
        self.in_flight = BytesInFlight(LIMIT, "web-form")
        self.producer = EdgeProducer(
            KafkaAccess.plaintext("nowhere:9092"), prefix="", in_flight=self.in_flight, within=5
        )

    async def send(self, *reports: Report) -> None:
        await self.producer.send("channels.app", reports, "desk")

    @asynccontextmanager
    async def next_producer(self, *_: object) -> AsyncIterator[Producer]:
        self.asked_for += 1
        yield await self.producers.get()


Trial = Callable[[Edge, Producer], Awaitable[None]]


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Callable[[Trial], None]:
    """Runs something beside a running edge that has a producer, in virtual time."""

    def run(what: Trial) -> None:
        async def main() -> None:
            edge, first = Edge(), Producer()
            monkeypatch.setattr(module, "idempotent_producer", edge.next_producer)
            edge.producers.put_nowait(first)
            running = asyncio.create_task(edge.producer.run())
            await asyncio.sleep(FLUSH_SECONDS)  # it has connected
            try:
                await what(edge, first)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

        run_virtually(main())

    return run


def report(number: int) -> Report:
    return Report(b"one partition", b"%d" % number, [])


def of_another_partition() -> Report:
    [first] = partitions_of([b"one partition"], PARTITIONS)
    return Report(next(k for k in KEYS if partitions_of([k], PARTITIONS) != [first]), b"", [])


def test_reports_that_come_close_upon_each_other_are_sent_together(
    trial: Callable[[Trial], None],
) -> None:
    async def close_upon_each_other(edge: Edge, producer: Producer) -> None:
        await asyncio.sleep(FLUSH_SECONDS)
        await edge.send(report(0))
        await asyncio.gather(*(edge.send(report(n)) for n in range(1, 30)))
        (first, one), (second, rest) = producer.sent
        assert (len(one), len(rest)) == (1, 29)
        assert second - first == pytest.approx(FLUSH_SECONDS)

    trial(close_upon_each_other)


def test_a_broken_producer_fails_its_batch_and_keeps_the_rest_for_the_next(
    trial: Callable[[Trial], None],
) -> None:
    async def broken(edge: Edge, producer: Producer) -> None:
        producer.broken = True
        with pytest.raises(NotAcknowledged):
            await edge.send(report(0))
        waiting = asyncio.create_task(edge.send(report(1)))
        await asyncio.sleep(1)
        assert not waiting.done()
        replacement = Producer()
        edge.producers.put_nowait(replacement)
        await waiting
        assert [keys for _, keys in replacement.sent] == [[b"one partition"]]
        assert edge.in_flight.reserve("desk", LIMIT // SHARE), "nothing is held any more"

    trial(broken)


def test_a_partition_without_a_leader_holds_up_itself_alone(
    trial: Callable[[Trial], None],
) -> None:
    async def without_a_leader(edge: Edge, producer: Producer) -> None:
        producer.leaderless.update(partitions_of([b"one partition"], PARTITIONS))
        stuck = asyncio.create_task(edge.send(report(0)))
        for _ in range(3):
            await edge.send(of_another_partition())
        assert not stuck.done()
        assert edge.producer.not_acknowledging is None
        # Another producer takes its place while the batch of the first is still in flight.
        producer.broken = True
        with pytest.raises(NotAcknowledged):
            await edge.send(of_another_partition())
        replacement = Producer()
        edge.producers.put_nowait(replacement)
        other = of_another_partition()
        await edge.send(other)
        assert [keys for _, keys in replacement.sent] == [[other.key]]
        assert not stuck.done()
        with pytest.raises(NotAcknowledged):
            await stuck

    trial(without_a_leader)


@pytest.mark.parametrize(("moved", "seconds"), [(True, 2 * METADATA_SECONDS), (False, 4.0)])
def test_a_batch_is_not_left_with_a_frozen_broker_once_another_one_leads(
    trial: Callable[[Trial], None], moved: bool, seconds: float
) -> None:
    """It is looked for every second, and a batch of less than a second is given time."""

    async def frozen(edge: Edge, producer: Producer) -> None:
        loop = asyncio.get_running_loop()
        producer.leaderless.update(range(PARTITIONS))  # it answers nothing
        began = loop.time()
        stuck = asyncio.create_task(edge.send(report(0)))
        await producer.asked.wait()
        producer.leader += moved
        with pytest.raises(NotAcknowledged):
            await stuck
        assert loop.time() - began == pytest.approx(seconds, abs=2 * FLUSH_SECONDS)
        await asyncio.sleep(1)
        assert edge.asked_for == 2, "for another producer"

    trial(frozen)


def test_a_partition_that_failed_waits_for_another_producer(
    trial: Callable[[Trial], None],
) -> None:
    async def failed(edge: Edge, producer: Producer) -> None:
        producer.broken = True
        with pytest.raises(NotAcknowledged):
            await edge.send(report(0))
        told = edge.producer.not_acknowledging
        assert told == "Kafka did not acknowledge the last reports: KafkaError"
        producer.broken = False
        waiting = asyncio.create_task(edge.send(report(1)))
        other = of_another_partition()
        await edge.send(other)
        assert edge.producer.not_acknowledging is None, "another was acknowledged since"
        assert [keys for _, keys in producer.sent] == [[other.key]]
        replacement = Producer()
        edge.producers.put_nowait(replacement)
        await waiting
        assert [keys for _, keys in replacement.sent] == [[b"one partition"]]

    trial(failed)


def test_silence_is_told_once_an_attempt_is_old(trial: Callable[[Trial], None]) -> None:
    async def silence(edge: Edge, producer: Producer) -> None:
        producer.leaderless.update(range(PARTITIONS))
        stuck = asyncio.create_task(edge.send(report(0)))
        await producer.asked.wait()
        assert edge.producer.not_acknowledging is None
        await asyncio.sleep(SILENT_SECONDS + 0.1)
        assert edge.producer.not_acknowledging == "Kafka has acknowledged nothing for 3 s"
        with pytest.raises(NotAcknowledged):
            await stuck

    trial(silence)


def test_without_a_connection_no_report_should_come(trial: Callable[[Trial], None]) -> None:
    async def away(edge: Edge, producer: Producer) -> None:
        assert edge.producer.not_acknowledging is None
        producer.connected = False
        await asyncio.sleep(METADATA_SECONDS + 0.1)
        assert edge.producer.not_acknowledging == "no connection to Kafka"

    trial(away)
