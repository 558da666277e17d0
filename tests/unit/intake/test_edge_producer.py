"""Requests of the edge: one for many reports, and none lost when a producer breaks."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from lastmetre.common.contracts.topics import PARTITIONS
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.intake.adapters.edge_producer import (
    FLUSH_SECONDS,
    SILENT_SECONDS,
    EdgeProducer,
    Report,
)
from lastmetre.intake.domain.bytes_in_flight import BytesInFlight
from lastmetre.intake.domain.submission import NotAcknowledged
from tests.simulation.clock import run_virtually

KEYS = [b"key %d" % number for number in range(50)]


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
        self.leaderless: set[int] = set()
        self.asked = asyncio.Event()

    def create_batch(self) -> Batch:
        return Batch()

    def leader_for_partition(self, _: object) -> int:
        return self.leader

    async def force_metadata_update(self) -> bool:
        return True

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


def edge(producer: Producer) -> EdgeProducer:
    made = EdgeProducer(
        KafkaAccess.plaintext("nowhere:9092"),
        prefix="",
        in_flight=BytesInFlight(4000, "web-form"),
        within=5,
    )
    made._connected = True
    made._producer = producer  # type: ignore[assignment]
    return made


def report(number: int) -> Report:
    return Report(b"one partition", b"%d" % number, [])


def test_reports_that_come_close_upon_each_other_are_sent_together() -> None:
    async def main() -> None:
        producer = Producer()
        door = edge(producer)
        await asyncio.sleep(FLUSH_SECONDS)
        await door.send("channels.app", [report(0)], "desk")
        await asyncio.gather(
            *(door.send("channels.app", [report(n)], "desk") for n in range(1, 30))
        )
        (first, one), (second, rest) = producer.sent
        assert (len(one), len(rest)) == (1, 29)
        assert second - first == pytest.approx(FLUSH_SECONDS)

    run_virtually(main())


async def test_a_broken_producer_fails_its_batch_and_keeps_the_rest_for_the_next() -> None:
    producer = Producer()
    door = edge(producer)
    producer.broken = True
    with pytest.raises(NotAcknowledged):
        await door.send("channels.app", [report(0)], "desk")
    door._producer = None  # as `run` does until there is another one
    waiting = asyncio.create_task(door.send("channels.app", [report(1)], "desk"))
    await asyncio.sleep(0)
    replacement = Producer()
    door._producer = replacement  # type: ignore[assignment]
    await waiting
    assert [keys for _, keys in replacement.sent] == [[b"one partition"]]
    assert door._in_memory._held.total() == 0


async def test_a_partition_without_a_leader_holds_up_itself_alone() -> None:
    producer = Producer()
    door = edge(producer)
    (dead,) = partitions_of([b"one partition"], PARTITIONS)
    other = next(key for key in KEYS if partitions_of([key], PARTITIONS) != [dead])
    producer.leaderless.add(dead)
    stuck = asyncio.create_task(door.send("channels.app", [report(0)], "desk"))
    for _ in range(3):
        await door.send("channels.app", [Report(other, b"", [])], "desk")
    assert not stuck.done()
    assert door.not_acknowledging is None
    # Another producer takes its place while the batch of the first is still in flight.
    replacement = Producer()
    door._producer = replacement  # type: ignore[assignment]
    await door.send("channels.app", [Report(other, b"", [])], "desk")
    assert [keys for _, keys in replacement.sent] == [[other]]
    stuck.cancel()


@pytest.mark.parametrize(("moved", "seconds"), [(True, 1.5), (False, 4.0)])
def test_a_batch_is_not_left_with_a_frozen_broker_once_another_one_leads(
    moved: bool, seconds: float
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        producer = Producer()
        door = edge(producer)
        producer.leaderless.update(range(PARTITIONS))  # it answers nothing
        began = loop.time()
        stuck = asyncio.create_task(door.send("channels.app", [report(0)], "desk"))
        await asyncio.sleep(1.5)
        producer.leader += moved
        await door._ask_for_metadata(producer)  # type: ignore[arg-type]
        with pytest.raises(NotAcknowledged):
            await stuck
        assert loop.time() - began == pytest.approx(seconds, abs=FLUSH_SECONDS)
        assert door._broken.is_set()

    run_virtually(main())


async def test_a_partition_that_failed_waits_for_another_producer() -> None:
    producer = Producer()
    door = edge(producer)
    producer.broken = True
    with pytest.raises(NotAcknowledged):
        await door.send("channels.app", [report(0)], "desk")
    assert door.not_acknowledging == "Kafka did not acknowledge the last reports: KafkaError"
    producer.broken = False
    (failed,) = partitions_of([b"one partition"], PARTITIONS)
    other = next(key for key in KEYS if partitions_of([key], PARTITIONS) != [failed])
    waiting = asyncio.create_task(door.send("channels.app", [report(1)], "desk"))
    await door.send("channels.app", [Report(other, b"", [])], "desk")
    assert door.not_acknowledging is None, "another partition was acknowledged since"
    assert [keys for _, keys in producer.sent] == [[other]]
    replacement = Producer()
    door._producer = replacement
    door._flush_soon()
    await waiting
    assert [keys for _, keys in replacement.sent] == [[b"one partition"]]


async def test_silence_is_told_once_an_attempt_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = Producer()
    door = edge(producer)
    producer.leaderless.update(range(PARTITIONS))
    loop = asyncio.get_running_loop()
    stuck = asyncio.create_task(door.send("channels.app", [report(0)], "desk"))
    await producer.asked.wait()
    assert door.not_acknowledging is None
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + SILENT_SECONDS + 0.1)
    assert door.not_acknowledging == "Kafka has acknowledged nothing for 3 s"
    stuck.cancel()


async def test_without_a_connection_no_report_should_come() -> None:
    door = edge(Producer())
    assert door.not_acknowledging is None
    door._connected = False
    assert door.not_acknowledging == "no connection to Kafka"
