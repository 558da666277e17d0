"""The channels' topics for whoever trims them: how old records are, and which are there."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import KafkaError

from lastmetre.common.kafka import clients
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.topic_reader import Place, open_topics

_SECONDS: Final = 20.0
_CLIENT: Final = "intake-trimmer"

Gap = tuple[str, int, int, int]
"""Topic, partition, first offset, and the one behind the last."""


class Begins(NamedTuple):
    """Where a partition begins, and where what is young does: None where nothing is young."""

    first: int
    young: int | None


class Examined(NamedTuple):
    """Where partitions begin, and which gaps hold no record and which hold some."""

    first: Mapping[Place, int]
    empty: Sequence[Gap]
    passed_over: Sequence[Gap]


class ChannelTopics:
    """Clients of their own, for the moment. Raises KafkaError, TimeoutError, TopicsUnreadable."""

    def __init__(self, access: KafkaAccess, prefix: str) -> None:
        self._access = access
        self._prefix = prefix

    async def begins(self, places: Sequence[Place], cutoff: datetime) -> dict[Place, Begins]:
        """Where these partitions begin; what was appended after `cutoff` is young."""
        asked = {place: TopicPartition(self._prefix + place[0], place[1]) for place in places}
        since = dict.fromkeys(asked.values(), int(cutoff.timestamp() * 1000))
        consumer = clients.consumer(self._access, client_id=_CLIENT)
        try:
            async with asyncio.timeout(_SECONDS):
                await consumer.start()
            async with asyncio.timeout(_SECONDS):
                young = await consumer.offsets_for_times(since)
            async with asyncio.timeout(_SECONDS):
                first = await consumer.beginning_offsets(asked.values())
        finally:
            with suppress(TimeoutError, KafkaError):
                async with asyncio.timeout(_SECONDS):
                    await consumer.stop()
        return {
            place: Begins(first[each], young[each].offset if young[each] else None)
            for place, each in asked.items()
        }

    async def examined(self, places: Sequence[Place], gaps: Sequence[Gap]) -> Examined:
        """Look into gaps of these partitions; of one that is trimmed nobody can tell any more."""
        empty: list[Gap] = []
        passed_over: list[Gap] = []
        async with open_topics(self._access, self._prefix, _CLIENT) as topics:
            first = await topics.beginnings(places)
            for gap in gaps:
                topic, partition, start, after = gap
                if start < first[topic, partition]:
                    continue
                found = await topics.is_empty((topic, partition), start, after)
                (empty if found else passed_over).append(gap)
        return Examined(first, empty, passed_over)

    async def delete_below(self, low: Mapping[Place, int]) -> None:
        """Delete the records below these offsets."""
        admin = clients.admin(self._access, _CLIENT)
        try:
            async with asyncio.timeout(_SECONDS):
                await admin.start()
            async with asyncio.timeout(_SECONDS):
                await admin.delete_records(
                    {
                        TopicPartition(self._prefix + topic, partition): RecordsToDelete(upto)
                        for (topic, partition), upto in low.items()
                    }
                )
        finally:
            with suppress(TimeoutError, KafkaError):
                async with asyncio.timeout(_SECONDS):
                    await admin.close()
