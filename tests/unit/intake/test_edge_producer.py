"""Departures of the edge: one for many reports, and none lost when a producer breaks."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from lastmetre.intake.edge.producer import APART_SECONDS, EdgeProducer, NotTaken, Report


class Batch(list[bytes]):
    def append(self, *, key: bytes, **_: Any) -> int:  # type: ignore[override]
        super().append(key)
        return len(self)


class Producer:
    """Stands in for aiokafka's: notes what departs when, and acknowledges at once."""

    def __init__(self) -> None:
        self.departed: list[tuple[float, list[bytes]]] = []
        self.broken = False

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, *_: Any, **__: Any) -> "asyncio.Future[None]":
        if self.broken:
            raise KafkaError("broken")
        loop = asyncio.get_running_loop()
        self.departed.append((loop.time(), list(batch)))
        done = loop.create_future()
        loop.call_soon(done.set_result, None)
        return done


def edge(producer: Producer) -> EdgeProducer:
    made = EdgeProducer("", prefix="", bytes_limit=1000, within=5)
    made._producer = producer  # type: ignore[assignment]
    return made


def report(number: int) -> Report:
    return Report(b"one partition", b"%d" % number, [])


async def test_reports_that_come_close_upon_each_other_depart_together() -> None:
    producer = Producer()
    door = edge(producer)
    await door.send("channels.app", [report(0)])
    await asyncio.gather(*(door.send("channels.app", [report(n)]) for n in range(1, 30)))
    (first, one), (second, rest) = producer.departed
    assert (len(one), len(rest)) == (1, 29)
    assert second - first >= APART_SECONDS - 0.001, "the loop's clock has a grain"


async def test_a_broken_producer_fails_those_aboard_and_keeps_the_rest_for_the_next() -> None:
    producer = Producer()
    door = edge(producer)
    producer.broken = True
    with pytest.raises(NotTaken):
        await door.send("channels.app", [report(0)])
    door._producer = None  # as `run` does until there is another one
    waiting = asyncio.create_task(door.send("channels.app", [report(1)]))
    await asyncio.sleep(0)
    replacement = Producer()
    door._producer = replacement  # type: ignore[assignment]
    await waiting
    assert [keys for _, keys in replacement.departed] == [[b"one partition"]]
    assert door._bytes == 0
