"""One partition of all topics that are keyed by case, with the cases that belong to it.

The books are gone through a partition at a time, so that memory holds a twelfth of them.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar
from uuid import UUID

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
from lastmetre.common.kafka.topic_reader import Place
from lastmetre.common.kafka.writer_epochs import WriterEpochs

BEFORE_CHECKPOINT: Final = 0
"""The offset of an event that was counted at the checkpoint: below every position since."""

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
    writer_epoch: int = 0
    """The highest one in the ledger below the mark."""
    not_in_force: int = 0
    """Records of the ledger that begin a writer epoch, or were written in one before it."""
    unreadable: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Offsets of records that hold no message, by topic."""

    @property
    def is_empty(self) -> bool:
        """There is nothing to count, nor to ask a database for."""
        held = (self.case_ids, self.actions, self.outcomes, self.feedback, self.deliveries)
        return not (any(held) or any(self.unreadable.values()) or self.not_in_force)


async def partition_views(cut: ConsistentCut) -> AsyncIterator[PartitionView]:
    """One partition after the other; the lists of a view are its reader's to keep.

    Since a checkpoint: the cases that were touched, with the events that were counted before.
    """
    known = by_partition(await _case_ids(cut))
    for partition in range(PARTITIONS):
        partition_view = PartitionView(partition)
        places = [(topic, partition) for topic in BY_CASE]
        records = _in_force(cut, partition_view, places)
        if cut.since is not None:
            read = [record async for record in records]
            outboxes = [
                record
                for snapshot in cut.snapshots
                for place in places
                for record in snapshot.outbox.get(place, ())
            ]
            # A key says what a record is of, but anybody may put it into any partition.
            keyed = by_partition(_cases_of([*read, *outboxes]))[partition]
            cases = {*known[partition], *keyed}
            await _put_earlier_events(cut, partition_view, cases, read)
            partition_view.case_ids = list(cases)
        else:
            async for record in records:
                _put(partition_view, record)
        for snapshot in cut.snapshots:
            for place in places:
                for record in snapshot.outbox.get(place, ()):
                    _put(partition_view, record)
        partition_view.case_ids = sorted(
            {*known[partition], *partition_view.case_ids, *partition_view.ledgers}
        )
        yield partition_view


async def _in_force(
    cut: ConsistentCut, partition_view: PartitionView, places: Sequence[Place]
) -> AsyncIterator[ConsumedRecord]:
    """The records, without those of the ledger that are of a writer epoch that is past."""
    ledger = CASE_EVENTS, partition_view.partition
    if cut.since is not None:
        partition_view.writer_epoch = cut.since.checkpoint.writer_epochs[partition_view.partition]
    epochs = WriterEpochs({partition_view.partition: partition_view.writer_epoch})
    start = cut.start(ledger)
    mark = cut.mark.start(ledger) if cut.mark else 0
    async for record in cut.records(places):
        if record.topic != CASE_EVENTS or record.offset < start or epochs.in_force([record]):
            yield record
        else:
            partition_view.not_in_force += 1
        if record.topic == CASE_EVENTS and record.offset < mark:
            partition_view.writer_epoch = epochs.of(partition_view.partition)


def _cases_of(records: Iterable[ConsumedRecord]) -> set[str]:
    """The cases that records are of by their keys; those that have no such key are of none."""
    found = set()
    for record in records:
        with suppress(ValueError):
            found.add(str(UUID((record.key or b"").decode())))
    return found


async def _put_earlier_events(
    cut: ConsistentCut, partition_view: PartitionView, cases: set[str], read: list[ConsumedRecord]
) -> None:
    """Fill the view: what was open at the checkpoint, the cases' other events of before from
    dispatch's ledger, whose rows were not touched, then what came since."""
    assert cut.since is not None
    checkpoint = cut.since.checkpoint
    start = checkpoint.starts[CASE_EVENTS, partition_view.partition]
    earlier = [each for each in read if each.offset < cut.start((each.topic, each.partition))]
    for record in earlier:
        _put(partition_view, record)
    async for case_id, seq, kind, body in cut.dispatch.stream(
        "SELECT case_id::text, seq, type, body FROM ledger WHERE case_id = ANY($1::uuid[])"  # noqa: S608
        f" AND NOT {cut.dispatch.recent} ORDER BY case_id, seq",
        list(cases),
    ):
        ledger = partition_view.ledgers[case_id]
        if start and seq not in ledger.events and seq <= checkpoint.relayed.get(case_id, seq):
            message = TYPES[CASE_EVENTS][kind].from_json(body)
            assert isinstance(message, CaseEvent)
            ledger.events[seq] = Observed(BEFORE_CHECKPOINT, message)
    for record in read[len(earlier) :]:
        _put(partition_view, record)


async def _case_ids(cut: ConsistentCut) -> set[str]:
    """Every case that any database knows, or that was touched."""
    if cut.since is not None:
        return cut.since.cases
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
    return found | await ids(cut.metrics, "SELECT case_id::text FROM fact")


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
