"""A flow's turns, on a consumer that only notes what is asked of it."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError

from lastmetre.common.kafka import poll_loop as turns
from lastmetre.common.kafka.poll_loop import Turns

PLACES = {TopicPartition("reports", 0), TopicPartition("reports", 1)}
Polled = Any  # records by partition, or an error to raise


class Consumer:
    """Gives out `answers` in turn."""

    def __init__(self, answers: Iterator[Polled]) -> None:
        self.asked: list[str] = []
        self._answers = answers
        self._paused: set[TopicPartition] = set()

    def assignment(self) -> set[TopicPartition]:
        return PLACES

    def paused(self) -> set[TopicPartition]:
        return set(self._paused)

    def pause(self, *places: TopicPartition) -> None:
        self.asked.append("pause")
        self._paused |= set(places)

    def resume(self, *places: TopicPartition) -> None:
        self.asked.append("resume")
        self._paused -= set(places)

    async def getmany(self, *_: Any, timeout_ms: int = 0, max_records: int = 0) -> Any:
        assert not self._paused
        self.asked.append("poll")
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def records(first: int, second: int) -> Polled:
    return {place: ["…"] * n for place, n in zip(sorted(PLACES), (first, second), strict=True)}


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([records(2, 1), records(1, 0)], ["poll", "pause", "resume", "poll", "pause"]),
        ([records(3, 2), records(5, 0), records(4, 0)], ["poll", "poll", "poll", "pause"]),
        ([{}, {}, records(1, 1)], ["poll", "poll", "poll", "pause"]),
    ],
    ids=["little comes: gathered", "full turns follow at once", "nothing comes: always listening"],
)
async def test_when_a_flow_gathers(answers: list[Polled], asked: list[str]) -> None:
    failures: list[Exception] = []
    consumer = Consumer(iter(answers))
    watched = cast("AIOKafkaConsumer", consumer)
    of_the_flow = Turns(gather_seconds=0.001, failed=failures.append)
    of_the_flow.watch(watched)
    of_the_flow.watch(watched)  # a rebalance: the same consumer is not wrapped twice
    got = [await watched.getmany(timeout_ms=10, max_records=5) for _ in answers]
    assert got == answers
    assert consumer.asked == asked
    assert not failures


async def test_a_fetch_that_fails_is_told_and_the_loop_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "AFTER_FAILURE_SECONDS", 0)
    failures: list[Exception] = []
    error = KafkaError("unreadable")
    consumer = Consumer(iter([error, records(1, 0), ConsumerStoppedError()]))
    watched = cast("AIOKafkaConsumer", consumer)
    Turns(gather_seconds=0.001, failed=failures.append).watch(watched)
    assert await watched.getmany(max_records=5) == {}
    assert failures == [error]
    assert await watched.getmany(max_records=5) == records(1, 0)
    with pytest.raises(ConsumerStoppedError):
        await watched.getmany(max_records=5)
    assert failures == [error]
