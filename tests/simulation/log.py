"""A partition's log in memory."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from lastmetre.common.kafka.codec import ConsumedRecord, kafka_headers
from lastmetre.common.kafka.ports import Acknowledgement, TopicPartition
from tests.simulation.clock import milliseconds

Outgoing = tuple[bytes, bytes, bytes | None]


class Fetched(NamedTuple):
    """Records from an offset on, and the offset to fetch next."""

    records: list[ConsumedRecord]
    next_offset: int


class PartitionLog:
    """Records with offsets and append times; marks of transactions leave gaps."""

    def __init__(self, partition: TopicPartition) -> None:
        self.partition = partition
        self.records: list[ConsumedRecord] = []
        self.beginning = 0
        self.end = 0
        self.has_leader = True
        self.changed = asyncio.Event()
        self._appended_at = 0

    def append(self, records: Sequence[Outgoing]) -> Acknowledgement:
        """One batch, all with one append time that never goes back."""
        self._appended_at = max(self._appended_at, milliseconds())
        first = self.end
        for key, headers, body in records:
            self.records.append(
                ConsumedRecord(
                    *self.partition, self.end, self._appended_at, key, body, kafka_headers(headers)
                )
            )
            self.end += 1
        self.notify()
        return Acknowledgement(first, self._appended_at)

    def append_mark(self) -> None:
        """A control record: an offset without a record."""
        self.end += 1
        self.notify()

    def trim(self, before: int) -> None:
        """Delete what lies before an offset."""
        self.beginning = max(self.beginning, min(before, self.end))
        self.records = [each for each in self.records if each.offset >= self.beginning]

    def fetch(self, offset: int, limit: int) -> Fetched:
        """From `offset` on; from the earliest where it is out of range."""
        if not self.beginning <= offset <= self.end:
            offset = self.beginning
        found = [each for each in self.records if each.offset >= offset]
        if len(found) > limit:
            return Fetched(found[:limit], found[limit - 1].offset + 1)
        return Fetched(found, self.end)

    def notify(self) -> None:
        """Wake those who wait for something new."""
        self.changed.set()
        self.changed = asyncio.Event()
