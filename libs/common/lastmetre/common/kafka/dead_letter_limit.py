"""Stops a sender whose records are bad one after the other, instead of emptying a topic into the
dead letters."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.ports import TopicPartition

WINDOW_RECORDS: Final = 200
LARGEST_SHARE: Final = 0.5
_HELD_BACK: Final = UUID("6f2f3a52-3f0c-5e0b-9a55-6d1c2b1f7a10")


class Sender(NamedTuple):
    """Who wrote a record: its ce_source, in one partition. Empty where it names none."""

    topic: str
    partition: int
    source: str

    @property
    def key(self) -> UUID:
        """Under which the records of a stopped sender are parked."""
        return uuid5(_HELD_BACK, f"{self.topic}/{self.partition}/{self.source}")


def sender_of(record: ConsumedRecord) -> Sender:
    """The sender of a record."""
    source = record.header("ce_source") or b""
    return Sender(record.topic, record.partition, source.decode("utf-8", "replace")[:200])


class DeadLetterLimit:
    """Counts dead letters by topic partition and sender."""

    def __init__(self) -> None:
        self._seen: dict[Sender, int] = defaultdict(int)
        self._dead: dict[Sender, int] = defaultdict(int)

    def over(
        self, handled: Iterable[ConsumedRecord], dead: Iterable[ConsumedRecord]
    ) -> list[Sender]:
        """Count a batch; the senders of whose last records more than half were dead letters."""
        for record in dead:
            self._dead[sender_of(record)] += 1
        if not self._dead:
            return []
        for record in handled:
            self._seen[sender_of(record)] += 1
        found = []
        for sender in [each for each in self._dead if self._seen[each] >= WINDOW_RECORDS]:
            if self._dead[sender] > self._seen[sender] * LARGEST_SHARE:
                found.append(sender)
            del self._dead[sender], self._seen[sender]
        return found

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """These are not ours any more."""
        gone = set(partitions)
        for counts in (self._seen, self._dead):
            for sender in [each for each in counts if (each.topic, each.partition) in gone]:
                del counts[sender]
