"""Which records of a lasting log are in force, once its writer's database has gone back.

A writer whose database has lost commits reads its log to the end, and goes on from there. What
processes before it still had under way may arrive later than that, and belongs to a past that
nobody remembers. So each partition is told, before anything else is written to it, that a new
writer epoch begins, and every record from then on names its epoch. A record of an epoch below one
that stands before it is not in force: every reader passes over it, as a broker refuses a producer
whose epoch is past. Records without an epoch are of epoch 0.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from lastmetre.common.kafka.codec import ConsumedRecord, kafka_headers, packed

WRITER_EPOCH: Final = "ce_writerepoch"
EPOCH_BEGAN: Final = "lastmetre.log.writer_epoch_began.v1"
"""The type of the record that begins an epoch. It says nothing of any case."""

Record = tuple[bytes, bytes, bytes | None]
"""Key, headers as the outbox keeps them, body."""


def writer_epoch(record: ConsumedRecord) -> int:
    """The epoch that `record` was written in."""
    raw = record.header(WRITER_EPOCH)
    return int(raw) if raw and raw.isdigit() else 0


def in_force_after(epoch: int, record: ConsumedRecord) -> tuple[bool, int]:
    """Whether `record` tells something that holds, and the highest epoch after it.

    `epoch` is the highest one before it in its partition.
    """
    own = writer_epoch(record)
    return own >= epoch and record.header("ce_type") != EPOCH_BEGAN.encode(), max(epoch, own)


class WriterEpochs:
    """The epoch of each partition of one topic, while it is read from its beginning on."""

    def __init__(self, known: Mapping[int, int] | None = None) -> None:
        """`known`: the epochs of before, where it is read from somewhere else on."""
        self._epochs: dict[int, int] = dict(known or {})

    def of(self, partition: int) -> int:
        """The highest one of what was read of it."""
        return self._epochs.get(partition, 0)

    def in_force(self, records: Iterable[ConsumedRecord]) -> list[ConsumedRecord]:
        """Those of `records` that are; they go on where the ones before ended."""
        found: list[ConsumedRecord] = []
        for record in records:
            in_force, epoch = in_force_after(self.of(record.partition), record)
            self._epochs[record.partition] = epoch
            if in_force:
                found.append(record)
        return found


def epoch_began(partition: str, epoch: int) -> Record:
    """The record that begins `epoch` in a partition."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"{partition}:{epoch}",
        "ce_type": EPOCH_BEGAN,
        "ce_source": "/lastmetre/outbox",
        WRITER_EPOCH: str(epoch),
    }
    return b"", packed(headers), None


def written_in(epoch: int, record: Record) -> Record:
    """The record as it goes out in `epoch`."""
    key, headers, body = record
    named = {name: value.decode() for name, value in kafka_headers(headers)}
    return key, packed(named | {WRITER_EPOCH: str(epoch)}), body
