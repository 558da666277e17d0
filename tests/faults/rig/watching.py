"""Reads along what comes onto a topic of a rig, and counts what comes twice."""

import asyncio
from collections import Counter
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from lastmetre.common.contracts.topics import PARTITIONS
from tests.faults.rig.rig import Rig


class Watching:
    """From the topic's end as it is when the context begins. Events are told apart by ce_id."""

    def __init__(self, rig: Rig, topic: str) -> None:
        self._topic = topic
        self._consumer = AIOKafkaConsumer(bootstrap_servers=rig.brokers.bootstrap_servers)
        self._seen: Counter[bytes] = Counter()
        self._task: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """Records so far."""
        return self._seen.total()

    @property
    def repeated(self) -> int:
        """Records that had been there before."""
        return self._seen.total() - len(self._seen)

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        places = [TopicPartition(self._topic, p) for p in range(PARTITIONS)]
        self._consumer.assign(places)
        await self._consumer.seek_to_end(*places)
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task:
            self._task.cancel()
        await self._consumer.stop()

    async def _read(self) -> None:
        while True:
            found: dict[Any, Any] = await self._consumer.getmany(timeout_ms=200)
            for records in found.values():
                for record in records:
                    self._seen[dict(record.headers).get("ce_id", b"")] += 1
