"""Reading topics from their first record to a given end. Nothing is committed."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from lastmetre.common.contracts.topics import PARTITIONS
from lastmetre.common.kafka import clients, lenient_headers
from lastmetre.common.kafka.access import KafkaAccess, access_of
from lastmetre.common.kafka.codec import ConsumedRecord

Place = tuple[str, int]
"""(topic without the city's prefix, partition)"""
Offsets = Mapping[Place, int]

BATCH_RECORDS: Final = 5000
POLL_MILLISECONDS: Final = 200
STALLED_SECONDS: Final = 30.0
ANSWER_SECONDS: Final = 30.0


class TopicsUnreadable(Exception):
    """A topic or the broker is not there or does not answer. `way_out`: what a person can do."""

    def __init__(self, problem: str, way_out: str = "") -> None:
        super().__init__(": ".join(filter(None, (problem, way_out))))
        self.problem = problem
        self.way_out = way_out


class Topics:
    """One consumer over whatever is asked for."""

    def __init__(self, consumer: AIOKafkaConsumer, prefix: str) -> None:
        self._consumer = consumer
        self._prefix = prefix

    def _physical(self, place: Place) -> TopicPartition:
        return TopicPartition(self._prefix + place[0], place[1])

    def _logical(self, place: TopicPartition) -> Place:
        return place.topic.removeprefix(self._prefix), place.partition

    async def places(self, topics: Iterable[str]) -> list[Place]:
        """The partitions of these topics; raises TopicsUnreadable for one that is not there."""
        wanted = list(topics)
        async with asyncio.timeout(ANSWER_SECONDS):
            present = await self._consumer.topics()
        missing = [topic for topic in wanted if self._prefix + topic not in present]
        if missing:
            names = ", ".join(missing)
            raise TopicsUnreadable(
                f"no such topic: {names}", "`lastmetre topics apply` makes them."
            )
        return [(topic, partition) for topic in wanted for partition in range(PARTITIONS)]

    async def beginnings(self, places: Iterable[Place]) -> dict[Place, int]:
        """The first offset that is still kept of each."""
        async with asyncio.timeout(ANSWER_SECONDS):
            found = await self._consumer.beginning_offsets([self._physical(p) for p in places])
        return {self._logical(place): offset for place, offset in found.items()}

    async def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """The offset that each one's next record will get."""
        async with asyncio.timeout(ANSWER_SECONDS):
            found = await self._consumer.end_offsets([self._physical(each) for each in places])
        return {self._logical(place): offset for place, offset in found.items()}

    async def records(
        self, places: Iterable[Place], start: Offsets, until: Offsets
    ) -> AsyncIterator[ConsumedRecord]:
        """Every record from `start` to below `until`, in order within its partition."""
        async for batch in self.batches(places, start, until):
            for record in batch:
                yield record

    async def batches(
        self,
        places: Iterable[Place],
        start: Offsets,
        until: Offsets,
        stalled_seconds: float = STALLED_SECONDS,
    ) -> AsyncIterator[Sequence[ConsumedRecord]]:
        """The same, some of one partition at a time. Raises TopicsUnreadable."""
        rest = {self._physical(each) for each in places if start[each] < until[each]}
        if not rest:
            return
        self._consumer.assign(list(rest))
        for place in rest:
            self._consumer.seek(place, start[self._logical(place)])
        moved_at = time.monotonic()
        while rest:
            batches = await self._consumer.getmany(
                *rest, timeout_ms=POLL_MILLISECONDS, max_records=BATCH_RECORDS
            )
            for place, batch in batches.items():
                moved_at = time.monotonic()
                end = until[self._logical(place)]
                records = [
                    ConsumedRecord(
                        *self._logical(place),
                        raw.offset,
                        raw.timestamp,
                        raw.key,
                        raw.value,
                        raw.headers,
                    )
                    for raw in batch
                    if raw.offset < end
                ]
                if records:
                    yield records
            # A partition may end in a transaction's marker, which is an offset but no record.
            for place in list(rest):
                if await self._consumer.position(place) >= until[self._logical(place)]:
                    rest.discard(place)
                    self._consumer.pause(place)
            if rest and time.monotonic() - moved_at > stalled_seconds:
                place = min(rest)
                raise TopicsUnreadable(f"{place.topic}-{place.partition} cannot be read to its end")

    async def is_empty(self, place: Place, start: int, until: int) -> bool:
        """Whether there is no record from `start` to below `until`."""
        async for _ in self.records([place], {place: start}, {place: until}):
            return False
        return True


@asynccontextmanager
async def open_topics(
    access: KafkaAccess | str,
    prefix: str,
    client_id: str = "lastmetre-audit",
    *,
    earliest_if_gone: bool = True,
) -> AsyncIterator[Topics]:
    """The topics of the city with that prefix; raises TopicsUnreadable without a broker.

    `earliest_if_gone`: an offset that is no longer kept is read from the earliest that is, instead
    of raising OffsetOutOfRangeError.
    """
    lenient_headers.install()
    access = access_of(access)
    # As the services it reads what is committed: what a transaction took back is no record.
    consumer = clients.consumer(
        access,
        client_id=client_id,
        auto_offset_reset="earliest" if earliest_if_gone else "none",
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    try:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await consumer.start()
        except (KafkaError, OSError, TimeoutError) as error:
            raise TopicsUnreadable(
                f"no broker answers at {access}", "is the stack running? `lastmetre status`"
            ) from error
        yield Topics(consumer, prefix)
    finally:
        await consumer.stop()
