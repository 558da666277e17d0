"""Where a consumer stands in its partitions, and which records are its to handle."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

import structlog

from lastmetre.common.contracts.topics import LASTING
from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.ports import ConsumerClient, TopicPartition
from lastmetre.common.kafka.writer_epochs import in_force_after
from lastmetre.common.telemetry import metrics

log = structlog.get_logger()

OWN_GAP: Final = "records between the stored position and what was read are missing"


class StoredOffset(NamedTuple):
    """A stored position; `appended_at` is of the record before it, milliseconds since 1970 UTC."""

    next_offset: int
    appended_at: int
    topic_id: UUID | None = None
    """Of the topic that record was in; None where that is not known."""
    writer_epoch: int = 0
    """The highest one that the partition has shown before `next_offset`."""


class OffsetGap(NamedTuple):
    """Offsets from `first` to below `next_offset` that hold no record."""

    topic: str
    partition: int
    first: int
    next_offset: int


class Advance(NamedTuple):
    """What handling some records comes to."""

    after: dict[TopicPartition, StoredOffset]
    gaps: list[OffsetGap]
    """The offsets that the client skipped."""
    in_force: list[ConsumedRecord]
    """Those that tell something which holds."""


@dataclass(slots=True)
class _Partition:
    stored: StoredOffset | None
    """None: nothing of it was ever handled."""
    handed_out: int
    """The offset that the client hands out next: where it was sought, or after what it gave."""
    handled: int
    """The offset after the last record handled since then; the same, unless records were lost."""
    unchecked: bool
    """The record before the stored position has not been compared yet."""
    topic_id: UUID | None = None
    """Of the topic that is read; None until it is known."""
    begins_anew: bool = False
    """The stored position is of another topic: reading begins with the earliest record."""
    halted: str | None = None

    @property
    def writer_epoch(self) -> int:
        """The highest one of what was handled of the topic that is read."""
        return 0 if self.begins_anew or self.stored is None else self.stored.writer_epoch


class PartitionPositions:
    """The assigned partitions of a consumer.

    A gap between two offsets is accepted only where the client itself skipped it: everything that
    it handed out since the last seek has been handled then. Any seek raises `epoch`; records that
    were asked for in an earlier one are strangers.
    """

    def __init__(self, service: str, consumer: str) -> None:
        self._labels = service, consumer
        self._partitions: dict[TopicPartition, _Partition] = {}
        self.epoch = 0

    @property
    def assigned(self) -> Collection[TopicPartition]:
        """The partitions that are ours."""
        return self._partitions.keys()

    @property
    def readable(self) -> list[TopicPartition]:
        """Those of them that are not halted."""
        return [each for each, state in self._partitions.items() if state.halted is None]

    @property
    def halted(self) -> list[TopicPartition]:
        """Those that are."""
        return [each for each, state in self._partitions.items() if state.halted is not None]

    def not_halted(self, records: Sequence[ConsumedRecord]) -> Sequence[ConsumedRecord]:
        """Those of `records` that lie in partitions which are not halted."""
        readable = set(self.readable)
        return [each for each in records if (each.topic, each.partition) in readable]

    def stored(self, partition: TopicPartition) -> StoredOffset | None:
        """The position of an assigned partition."""
        return self._partitions[partition].stored

    def revoke(self) -> None:
        """Nothing is ours any more."""
        self._partitions.clear()
        self.epoch += 1

    def assign(
        self,
        client: ConsumerClient,
        partitions: Iterable[TopicPartition],
        stored: Mapping[TopicPartition, StoredOffset],
        topic_ids: Mapping[str, UUID],
    ) -> None:
        """Seek to the record before each position, to see whether it is still the same one."""
        self._partitions.clear()
        for partition in partitions:
            at = stored.get(partition)
            topic_id = at.topic_id if at else None
            self._partitions[partition] = _Partition(at, 0, 0, unchecked=False, topic_id=topic_id)
        self.compare_topics(client, topic_ids)
        self.seek(client, self._partitions)

    def compare_topics(self, client: ConsumerClient, topic_ids: Mapping[str, UUID]) -> None:
        """Begin anew wherever the topic is not the one that was read, whatever its offsets are.

        A topic without an id in `topic_ids` does not exist at present, or the broker has no ids.
        """
        for partition, state in self._partitions.items():
            found = topic_ids.get(partition.topic)
            if found is None or found == state.topic_id:
                continue
            known, state.topic_id = state.topic_id, found
            if known is not None:
                self.begins_anew(client, partition, 0)

    def seek(self, client: ConsumerClient, partitions: Iterable[TopicPartition]) -> None:
        """Read these again from their stored positions; those that are not ours are passed over."""
        self.epoch += 1
        for partition in partitions:
            state = self._partitions.get(partition)
            if state is None:
                continue
            stored = None if state.begins_anew else state.stored
            state.unchecked = stored is not None
            state.handed_out = state.handled = max(stored.next_offset - 1, 0) if stored else 0
            client.seek(partition, state.handed_out)

    def halt(self, partition: TopicPartition, reason: str) -> None:
        """Handle nothing of it until it is assigned anew."""
        self._partitions[partition].halted = reason

    def halted_because(self) -> str | None:
        """Which partitions are halted, and why; None if there is none."""
        halted = sorted((str(each), s.halted) for each, s in self._partitions.items() if s.halted)
        return "; ".join(f"{partition}: {reason}" for partition, reason in halted) or None

    def take(
        self, partition: TopicPartition, records: Sequence[ConsumedRecord]
    ) -> tuple[Sequence[ConsumedRecord], bool]:
        """What is to be handled of records just handed out, and whether they are in doubt.

        In doubt, where the first of them should not be there: then nothing is taken, and the
        caller asks where the partition ends and has the doubt settled.
        """
        state = self._partitions.get(partition)
        if state is None or state.halted is not None or not records:
            return (), False
        first, stored = records[0], state.stored
        if first.offset < state.handed_out:
            return (), True
        if state.handled != state.handed_out:
            self.halt(partition, OWN_GAP)
            log.error(OWN_GAP, partition=str(partition), handled=state.handled)
            return (), False
        if state.unchecked and stored is not None:
            if first.offset < stored.next_offset:
                if first.timestamp != stored.appended_at:
                    return (), True
                records = records[1:]
            state.unchecked = False
            state.handed_out = state.handled = stored.next_offset
        if records:
            state.handed_out = records[-1].offset + 1
        return records, False

    def settle_doubt(
        self, client: ConsumerClient, partition: TopicPartition, first: ConsumedRecord, end: int
    ) -> None:
        """Read again, or anew: is `first`, which should not be there, of the topic that was read?

        `end` is the offset after the partition's last record.
        """
        stored = self._partitions[partition].stored
        other_one = (
            stored is not None
            and first.offset == stored.next_offset - 1
            and first.timestamp != stored.appended_at
        )
        if stored is None or other_one or end < stored.next_offset:
            self.begins_anew(client, partition, first.offset)
        else:
            self.seek(client, [partition])

    def begins_anew(self, client: ConsumerClient, partition: TopicPartition, found: int) -> None:
        """The topic is not the one that was read: from its earliest record, loudly."""
        state = self._partitions[partition]
        metrics.RESETS.labels(*self._labels).inc()
        log.error(
            "the topic is not the one that was read: beginning at its earliest record",
            consumer=self._labels[1],
            partition=str(partition),
            stored=state.stored and state.stored.next_offset,
            found=found,
        )
        state.begins_anew = True
        self.seek(client, [partition])

    def advanced(self, records: Iterable[ConsumedRecord]) -> Advance:
        """Where the consumer stands after `records`."""
        found = Advance({}, [], [])
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            state, before = self._partitions[partition], found.after.get(partition)
            expected = before.next_offset if before else state.handled
            if record.offset > expected:
                found.gaps.append(OffsetGap(*partition, expected, record.offset))
            in_force, epoch = True, before.writer_epoch if before else state.writer_epoch
            if record.topic in LASTING:
                in_force, epoch = in_force_after(epoch, record)
            if in_force:
                found.in_force.append(record)
            found.after[partition] = StoredOffset(
                record.offset + 1, record.timestamp, state.topic_id, epoch
            )
        return found

    def advance(self, after: Mapping[TopicPartition, StoredOffset]) -> None:
        """These positions have been stored."""
        for partition, stored in after.items():
            state = self._partitions[partition]
            state.stored, state.handled = stored, stored.next_offset
            state.begins_anew = False

    def committed(self) -> dict[TopicPartition, int]:
        """What Kafka itself may know of the positions."""
        return {
            partition: state.stored.next_offset
            for partition, state in self._partitions.items()
            if state.stored is not None
        }
