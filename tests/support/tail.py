"""What comes onto a topic from now on, decoded."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from lastmetre.common.contracts.base import Message
from lastmetre.common.contracts.requests import ActionAnswered
from lastmetre.common.contracts.topics import FIELD_OUTCOMES, PARTITIONS
from lastmetre.common.kafka.codec import ConsumedRecord, decode

WAIT_SECONDS: Final = 30.0


class Tail:
    """Records of one topic, in the order in which they were read."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str) -> None:
        self._consumer = consumer
        self._topic = topic
        self.records: list[ConsumedRecord] = []

    async def until(self, enough: Callable[[list[ConsumedRecord]], bool]) -> list[ConsumedRecord]:
        """Read until what was read is enough."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not enough(self.records):
                for batch in (await self._consumer.getmany(timeout_ms=200)).values():
                    self.records.extend(map(self._record, batch))
        return self.records

    def _record(self, raw: Any) -> ConsumedRecord:
        return ConsumedRecord(
            self._topic, raw.partition, raw.offset, raw.timestamp, raw.key, raw.value, raw.headers
        )


@asynccontextmanager
async def tail(endpoints: Mapping[str, Any], topic: str) -> AsyncIterator[Tail]:
    """Stands at the topic's end when it is entered."""
    consumer = AIOKafkaConsumer(bootstrap_servers=endpoints["KAFKA_BOOTSTRAP_SERVERS"])
    await consumer.start()
    try:
        places = [TopicPartition(endpoints["topic_prefix"] + topic, p) for p in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.seek_to_end(*places)
        yield Tail(consumer, topic)
    finally:
        await consumer.stop()


_ANSWERS: Final[Mapping[str, type[Message]]] = {ActionAnswered.TYPE: ActionAnswered}


class Outcomes:
    """Dispatch's answers on `field.outcomes`."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail

    async def to(self, action_id: object, count: int = 1) -> list[ActionAnswered]:
        """The first `count` answers to what was asked under this id."""

        def answers(records: list[ConsumedRecord]) -> list[ActionAnswered]:
            found = [decode(each, _ANSWERS) for each in records]
            return [a for a in found if isinstance(a, ActionAnswered) and a.action_id == action_id]

        records = await self._tail.until(lambda r: len(answers(r)) >= count)
        return answers(records)


@asynccontextmanager
async def outcomes(endpoints: Mapping[str, Any]) -> AsyncIterator[Outcomes]:
    """The answers from now on."""
    async with tail(endpoints, FIELD_OUTCOMES) as opened:
        yield Outcomes(opened)
