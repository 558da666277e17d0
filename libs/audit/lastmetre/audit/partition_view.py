"""One partition of all topics that are keyed by case, with the cases that belong to it.

The books are gone through a partition at a time, so that memory holds a twelfth of them.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from lastmetre.audit.consistent_cut import BY_CASE, ConsistentCut
from lastmetre.audit.snapshot import ids
from lastmetre.common.contracts import cases as case_contracts
from lastmetre.common.contracts.base import Message, message_types
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.deliveries import MessageAttempted, MessageDelivered
from lastmetre.common.contracts.requests import ActionAnswered, ActionRequested, FeedbackGiven
from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    FEEDBACK,
    FIELD_ACTIONS,
    FIELD_OUTCOMES,
    NOTIFY_DELIVERIES,
    PARTITIONS,
)
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, UnknownEventType, decode
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.common.kafka.writer_epochs import WriterEpochs

AnyMessage = TypeVar("AnyMessage", bound=Message)

TYPES: Final[Mapping[str, Mapping[str, type[Message]]]] = {
    CASE_EVENTS: message_types(case_contracts),
    FIELD_ACTIONS: {ActionRequested.TYPE: ActionRequested},
    FIELD_OUTCOMES: {ActionAnswered.TYPE: ActionAnswered},
    FEEDBACK: {FeedbackGiven.TYPE: FeedbackGiven},
    NOTIFY_DELIVERIES: {kind.TYPE: kind for kind in (MessageAttempted, MessageDelivered)},
}


@dataclass(slots=True)
class Observed(Generic[AnyMessage]):
    """A message of a topic or an outbox; `offset` is -1 while it waits in the outbox."""

    offset: int
    message: AnyMessage


@dataclass(slots=True)
class Ledger:
    """A case's events by seq: the first telling of each, and the offset of each further one."""

    events: dict[int, Observed[CaseEvent]] = field(default_factory=dict)
    repeated: list[tuple[int, int]] = field(default_factory=list)
    """(seq, offset)"""
    versions: list[int] = field(default_factory=list)
    """Seqs that were told with other contents, too."""

    def add(self, observed: Observed[CaseEvent]) -> None:
        """Take in one telling."""
        seq = observed.message.seq
        known = self.events.get(seq)
        if known is None:
            self.events[seq] = observed
            return
        if observed.offset >= 0:
            self.repeated.append((seq, observed.offset))
        if known.message != observed.message:
            self.versions.append(seq)

    def on_topic(self) -> dict[int, CaseEvent]:
        """What of it the topic holds."""
        return {
            seq: observed.message for seq, observed in self.events.items() if observed.offset >= 0
        }

    def up_to(self, seq: int) -> list[CaseEvent] | None:
        """Events 1 to `seq`; None where one is missing."""
        found = [self.events.get(each) for each in range(1, seq + 1)]
        return (
            [observed.message for observed in found if observed] if all(found) and found else None
        )


@dataclass(slots=True)
class PartitionView:
    """What partition `partition` of the topics keyed by case holds, outboxes included."""

    partition: int
    case_ids: list[str] = field(default_factory=list)
    """Of every case that is in this partition of the topic or belongs there by its id."""
    ledgers: dict[str, Ledger] = field(default_factory=lambda: defaultdict(Ledger))
    actions: list[Observed[ActionRequested]] = field(default_factory=list)
    outcomes: list[Observed[ActionAnswered]] = field(default_factory=list)
    feedback: list[Observed[FeedbackGiven]] = field(default_factory=list)
    deliveries: list[Observed[MessageDelivered]] = field(default_factory=list)
    not_in_force: int = 0
    """Records of the ledger that begin a writer epoch, or were written in one before it."""
    unreadable: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Offsets of records that hold no message, by topic."""


async def partition_views(cut: ConsistentCut) -> AsyncIterator[PartitionView]:
    """One partition after the other; the lists of a view are its reader's to keep."""
    known = await _case_ids(cut)
    for partition in range(PARTITIONS):
        partition_view, epochs = PartitionView(partition), WriterEpochs()
        places = [(topic, partition) for topic in BY_CASE]
        async for record in cut.records(places):
            if record.topic != CASE_EVENTS or epochs.in_force([record]):
                _put(partition_view, record)
            else:
                partition_view.not_in_force += 1
        for snapshot in cut.snapshots:
            for place in places:
                for record in snapshot.outbox.get(place, ()):
                    _put(partition_view, record)
        partition_view.case_ids = sorted({*known[partition], *partition_view.ledgers})
        yield partition_view


async def _case_ids(cut: ConsistentCut) -> Sequence[list[str]]:
    """Every case that any database knows, by the partition it belongs to."""
    found = await ids(
        cut.dispatch,
        'SELECT case_id::text FROM "case"',
        "SELECT DISTINCT case_id::text FROM ledger",
    )
    found |= await ids(cut.intake, "SELECT case_id::text FROM case_view")
    found |= await ids(
        cut.notify,
        "SELECT case_id::text FROM subject",
        "SELECT DISTINCT case_id::text FROM message_waiting",
        "SELECT DISTINCT case_id::text FROM message_done",
        "SELECT DISTINCT case_id::text FROM rating",
    )
    found |= await ids(cut.metrics, "SELECT case_id::text FROM fact")
    return by_partition(found)


def by_partition(keys: set[str]) -> Sequence[list[str]]:
    """Keys by the partition that a producer would choose for them."""
    ordered = list(keys)
    grouped: list[list[str]] = [[] for _ in range(PARTITIONS)]
    chosen = partitions_of([key.encode() for key in ordered], PARTITIONS)
    for key, partition in zip(ordered, chosen, strict=True):
        grouped[partition].append(key)
    return grouped


def _put(partition_view: PartitionView, record: ConsumedRecord) -> None:
    try:
        message = decode(record, TYPES[record.topic])
    except (BadRecord, UnknownEventType):
        partition_view.unreadable[record.topic].append(record.offset)
        return
    match message:
        case CaseEvent():
            partition_view.ledgers[str(message.case_id)].add(Observed(record.offset, message))
        case ActionRequested():
            partition_view.actions.append(Observed(record.offset, message))
        case ActionAnswered():
            partition_view.outcomes.append(Observed(record.offset, message))
        case FeedbackGiven():
            partition_view.feedback.append(Observed(record.offset, message))
        case MessageDelivered():
            partition_view.deliveries.append(Observed(record.offset, message))
