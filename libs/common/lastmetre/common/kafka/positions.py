"""Where a flow stands in its partitions, and which of the records that arrive are its to handle."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.postgres.core_tables import OffsetGap, StoredOffset
from lastmetre.common.telemetry import metrics

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

log = structlog.get_logger()

ANSWER_SECONDS: Final = 10.0
Place = tuple[str, int]
"""Topic without the city's prefix, and partition."""
_place: Final = attrgetter("topic", "partition")


class Places:
    """The assigned partitions of a flow, each with its stored position (None: nothing stored)."""

    def __init__(
        self, service: str, flow: str, prefix: str, consumer: "Callable[[], AIOKafkaConsumer]"
    ) -> None:
        self._service = service
        self._flow = flow
        self._prefix = prefix
        self._consumer = consumer
        self._stands: dict[Place, StoredOffset | None] = {}
        self._unchecked: set[Place] = set()
        self._halted: dict[Place, str] = {}

    @property
    def positions(self) -> Mapping[Place, StoredOffset | None]:
        """Where the flow stands."""
        return self._stands

    def logical(self, place: TopicPartition) -> Place:
        """As we name it: without the city's prefix."""
        return place.topic.removeprefix(self._prefix), place.partition

    def _physical(self, place: Place) -> TopicPartition:
        return TopicPartition(self._prefix + place[0], place[1])

    def leave(self) -> None:
        """The partitions may be somebody else's now."""
        self._stands.clear()
        self._unchecked.clear()
        self._halted.clear()

    def halt(self, place: Place, reason: str) -> None:
        """Nothing there is ours to handle any more, until it is assigned anew."""
        self._halted[place] = reason

    def halted_because(self) -> str | None:
        """Which partitions are halted, and why."""
        found = sorted(self._halted.items())
        return "; ".join(f"{topic}/{n}: {reason}" for (topic, n), reason in found) or None

    def begin(self, places: Iterable[Place], stored: Mapping[Place, StoredOffset]) -> None:
        """Seek to the record before each position, to see whether it is still the same one."""
        for place in places:
            position = stored.get(place)
            self._stands[place] = position
            if position:
                self._unchecked.add(place)
            before = max(position.next_offset - 1, 0) if position else 0
            self._consumer().seek(self._physical(place), before)

    def begin_again(self, stored: Mapping[Place, StoredOffset] | None = None) -> None:
        """As `begin`, for all of them: from `stored`, or from where we stand."""
        if stored is None:
            stored = {place: at for place, at in self._stands.items() if at}
        self.begin(list(self._stands), stored)

    def after(
        self, records: Iterable[ConsumedRecord]
    ) -> tuple[dict[Place, StoredOffset], list[OffsetGap]]:
        """Where the flow stands after `records`, and the offsets before them that are not there."""
        after: dict[Place, StoredOffset] = {}
        gaps: list[OffsetGap] = []
        for (topic, partition), run in groupby(records, _place):
            place = topic, partition
            before = after.get(place) or self._stands.get(place)
            expected = before.next_offset if before else 0
            for record in run:
                if record.offset > expected:
                    gaps.append(OffsetGap(topic, partition, expected, record.offset))
                expected = record.offset + 1
            after[place] = StoredOffset(expected, record.timestamp)
        return after, gaps

    async def without_a_record(self, gaps: Sequence[OffsetGap]) -> list[OffsetGap]:
        """Those of `gaps` that hold no record: a transaction's marks, and what it took back.

        In the others there was something once, which was deleted before we read it. Raises
        ConnectionError without a broker.
        """
        physical = {gap: self._physical((gap.topic, gap.partition)) for gap in gaps}
        try:
            first = await asyncio.wait_for(
                self._consumer().beginning_offsets(set(physical.values())), ANSWER_SECONDS
            )
        except KafkaError as error:
            raise ConnectionError(f"Kafka: {error}") from error
        empty = [gap for gap in gaps if gap.first >= first[physical[gap]]]
        for gap in gaps:
            # A new reader begins at what is kept: it has missed nothing.
            if gap not in empty and gap.first > 0:
                log.warning("records are gone", flow=self._flow, **gap._asdict())
        return empty

    def move(self, after: Mapping[Place, StoredOffset]) -> None:
        """These positions have been stored."""
        self._stands.update(after)

    def rewind(self, records: Iterable[ConsumedRecord]) -> None:
        """Seek back to the first of these in each partition: they have not been handled."""
        first: dict[Place, int] = {}
        for record in records:
            first.setdefault((record.topic, record.partition), record.offset)
        for place, offset in first.items():
            self._consumer().seek(self._physical(place), offset)

    def lag(self) -> int:
        """Records behind the end of the assigned partitions, as far as the broker has told."""
        behind = 0
        for place, position in self._stands.items():
            with suppress(RuntimeError, AssertionError, KafkaError):
                end = self._consumer().highwater(self._physical(place))
                behind += max((end or 0) - (position.next_offset if position else 0), 0)
        return behind

    def offsets(self) -> dict[TopicPartition, int]:
        """What Kafka itself may know of the positions."""
        return {
            self._physical(place): position.next_offset
            for place, position in self._stands.items()
            if position is not None
        }

    def current(self, batch: Iterable[ConsumedRecord]) -> list[ConsumedRecord]:
        """The records that are ours to handle: not of an old assignment, not done already."""
        records: list[ConsumedRecord] = []
        for place, run in groupby(batch, _place):
            if place not in self._stands or place in self._halted:
                continue
            fetched = list(run)
            if place in self._unchecked:
                verdict = self._check(place, fetched[0].offset, fetched[0].timestamp)
                if verdict == "moved":
                    continue
                if verdict == "done":
                    del fetched[0]
            records += fetched
        return records

    def _check(self, place: Place, offset: int, timestamp: int) -> str:
        """Compare a partition's first record with the position that we stored."""
        self._unchecked.discard(place)
        position = self._stands[place]
        if position is None:
            return "ours"
        if offset == position.next_offset - 1 and timestamp == position.appended_at:
            return "done"
        where = {
            "flow": self._flow,
            "topic": place[0],
            "partition": place[1],
            "stored": position.next_offset,
            "found": offset,
        }
        if offset >= position.next_offset:
            return "ours"
        metrics.RESETS.labels(self._service, self._flow).inc()
        log.error("the topic is not the one we read: beginning at its earliest record", **where)
        if offset == 0:
            return "ours"
        self._consumer().seek(self._physical(place), 0)
        return "moved"
