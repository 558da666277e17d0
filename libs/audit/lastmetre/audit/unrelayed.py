"""Records that wait in an outbox: the books count them there, so the next audit looks for them."""

from collections.abc import Iterable
from typing import Final

from lastmetre.audit.balance import Balance
from lastmetre.audit.snapshot import Snapshot
from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    FEEDBACK,
    FIELD_OUTCOMES,
    NOTIFY_DELIVERIES,
    REPORTS,
)
from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.topic_reader import Place

LINES: Final = {
    REPORTS: "accepted_told",
    CASE_EVENTS: "ledger_told",
    FIELD_OUTCOMES: "outcomes",
    FEEDBACK: "feedback_told",
    NOTIFY_DELIVERIES: "deliveries",
}
"""Which line names a record of that topic that is lost."""

NamedRecord = tuple[str, int, str]
"""(topic, partition, ce_id)"""


class Unrelayed:
    """What waits in the outboxes of a cut. `on_topic` is told every record that is read."""

    def __init__(self, snapshots: Iterable[Snapshot]) -> None:
        self._waiting = {
            _name(record)
            for snapshot in snapshots
            for (topic, _), records in snapshot.outbox.items()
            if topic in LINES
            for record in records
        }
        self._sought = set(self._waiting)
        self._places = _places(self._sought)
        self._expected: set[NamedRecord] = set()

    def expect(self, left: Iterable[NamedRecord], unacknowledged: Iterable[NamedRecord]) -> None:
        """What the checkpoint says: each of `left` is on its topic since, or waits still."""
        self._expected = set(left) - self._waiting
        self._sought = (self._waiting | self._expected).difference(unacknowledged)
        self._places = _places(self._sought)

    def on_topic(self, record: ConsumedRecord) -> None:
        """It waits no longer, whatever the outbox says: its sender ended before it heard."""
        if (record.topic, record.partition) in self._places:
            self._sought.discard(_name(record))

    def left(self) -> list[NamedRecord]:
        """What waits and was on no topic, once all records were read."""
        return sorted(self._waiting & self._sought)

    def unacknowledged(self) -> list[NamedRecord]:
        """What an outbox holds that was told long ago: the next audit does not read that far."""
        return sorted(self._waiting - self._sought)

    def check(self, balance: Balance) -> None:
        """Name what is lost, once all records were read."""
        for topic, _, identity in sorted(self._expected & self._sought):
            balance.line(LINES[topic]).differ(
                identity,
                "waited in an outbox at the checkpoint, and is neither on the topic nor in one now",
            )


def _name(record: ConsumedRecord) -> NamedRecord:
    identity = record.header("ce_id") or b""
    return record.topic, record.partition, identity.decode(errors="replace")


def _places(records: Iterable[NamedRecord]) -> set[Place]:
    return {(topic, partition) for topic, partition, _ in records}
