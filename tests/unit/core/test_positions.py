"""Which of the records that were handed out are taken, and what a gap between them means."""

from uuid import UUID

import pytest

from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.ports import TopicPartition
from lastmetre.common.kafka.positions import OWN_GAP, OffsetGap, PartitionPositions, StoredOffset
from lastmetre.common.kafka.writer_epochs import WRITER_EPOCH

HERE = TopicPartition("t", 0)
ID, OTHER_ID = UUID(int=1), UUID(int=2)


class Client:
    """Notes where it was sought."""

    def __init__(self) -> None:
        self.sought: list[tuple[TopicPartition, int]] = []

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.sought.append((partition, offset))


def record(offset: int, appended_at: int | None = None) -> ConsumedRecord:
    at = 1000 + offset if appended_at is None else appended_at
    return ConsumedRecord("t", 0, offset, at, None, b"", [])


def assigned(stored: StoredOffset | None) -> tuple[PartitionPositions, Client]:
    positions, client = PartitionPositions("service", "consumer"), Client()
    positions.assign(client, [HERE], {HERE: stored} if stored else {}, {})  # type: ignore[arg-type]
    return positions, client


STORED = StoredOffset(5, 1004)


@pytest.mark.parametrize(
    ("stored", "handed_out", "taken", "in_doubt"),
    [
        (None, [0, 1], [0, 1], False),
        (None, [3, 4], [3, 4], False),  # trimmed before we came
        (STORED, [4, 5, 6], [5, 6], False),  # the record before the position, and what follows
        (STORED, [4], [], False),
        (STORED, [7, 8], [7, 8], False),  # the record before it was trimmed
        (STORED, [2, 3], [], True),  # a fetch that overtook the seek, or a topic made anew
    ],
)
def test_what_is_taken_after_a_seek(
    stored: StoredOffset | None, handed_out: list[int], taken: list[int], in_doubt: bool
) -> None:
    positions, client = assigned(stored)
    assert client.sought == [(HERE, 4 if stored else 0)]
    found, doubt = positions.take(HERE, [record(each) for each in handed_out])
    assert ([each.offset for each in found], doubt) == (taken, in_doubt)


def test_another_record_before_the_position_is_in_doubt() -> None:
    positions, _ = assigned(STORED)
    assert positions.take(HERE, [record(4, appended_at=9), record(5)]) == ((), True)


def test_offsets_that_the_client_skipped_are_a_gap_to_be_noted() -> None:
    positions, _ = assigned(STORED)
    taken, _ = positions.take(HERE, [record(4), record(5), record(8), record(9)])
    after, gaps, _ = positions.advanced(taken)
    assert after == {HERE: StoredOffset(10, 1009)}
    assert gaps == [OffsetGap("t", 0, 6, 8)]


@pytest.mark.parametrize(
    ("stored", "epochs", "in_force", "after"),
    [
        (0, [None, None], [0, 1], 0),
        (0, [None, 1, None, 1], [0, 1, 3], 1),  # of a past that was forgotten
        (0, [1, 2, 1, 2], [0, 1, 3], 2),
        (2, [1, 2], [1], 2),  # read on where another process has seen it
    ],
)
def test_records_of_a_writer_epoch_that_is_past_are_not_in_force(
    stored: int, epochs: list[int | None], in_force: list[int], after: int
) -> None:
    ledger = TopicPartition(CASE_EVENTS, 0)
    records = [
        record(5 + number)._replace(
            topic=CASE_EVENTS, headers=[(WRITER_EPOCH, b"%d" % epoch)] if epoch else []
        )
        for number, epoch in enumerate(epochs)
    ]
    positions = PartitionPositions("service", "consumer")
    at = {ledger: STORED._replace(writer_epoch=stored)}
    positions.assign(Client(), [ledger], at, {})  # type: ignore[arg-type]
    taken, _ = positions.take(ledger, records)
    found = positions.advanced(taken)
    assert [each.offset - 5 for each in found.in_force] == in_force
    assert found.after[ledger] == StoredOffset(5 + len(epochs), 1004 + len(epochs), None, after)


def test_what_was_handed_out_and_not_handled_halts_the_partition() -> None:
    positions, _ = assigned(None)
    taken, _ = positions.take(HERE, [record(0), record(1)])
    assert len(taken) == 2
    assert positions.take(HERE, [record(2)]) == ((), False)
    assert positions.halted_because() == f"t-0: {OWN_GAP}"
    assert positions.readable == []
    assert positions.halted == [HERE]


def test_a_seek_goes_back_to_what_is_stored_and_makes_earlier_fetches_strangers() -> None:
    positions, client = assigned(None)
    epoch = positions.epoch
    taken, _ = positions.take(HERE, [record(0), record(1), record(2)])
    positions.advance(positions.advanced(taken[:2])[0])
    positions.seek(client, [HERE, TopicPartition("t", 1)])  # type: ignore[arg-type]
    assert positions.epoch > epoch
    assert client.sought[-1] == (HERE, 1)
    again, _ = positions.take(HERE, [record(1), record(2)])
    assert [each.offset for each in again] == [2]


def test_a_topic_made_anew_is_read_from_its_beginning() -> None:
    positions, client = assigned(STORED)
    positions.begins_anew(client, HERE, 2)  # type: ignore[arg-type]
    assert client.sought[-1] == (HERE, 0)
    taken, _ = positions.take(HERE, [record(0, 5000), record(1, 5001)])
    assert [each.offset for each in taken] == [0, 1]
    assert positions.stored(HERE) == STORED  # until the new one's first batch is committed
    positions.advance(positions.advanced(taken)[0])
    assert positions.committed() == {HERE: StoredOffset(2, 5001).next_offset}


@pytest.mark.parametrize(
    ("read", "found", "sought"),
    [
        (OTHER_ID, {"t": ID}, 0),  # deleted and made anew, and longer than where we stood
        (ID, {"t": ID}, 4),
        (ID, {}, 4),  # it does not exist at present, or the broker has no ids
        (None, {"t": ID}, 4),  # stored before there were ids
    ],
)
def test_a_topic_is_known_by_its_id(read: UUID | None, found: dict[str, UUID], sought: int) -> None:
    stored = STORED._replace(topic_id=read)
    positions, client = PartitionPositions("service", "consumer"), Client()
    positions.assign(client, [HERE], {HERE: stored}, found)  # type: ignore[arg-type]
    assert client.sought[-1] == (HERE, sought)
    positions.seek(client, [HERE])  # type: ignore[arg-type]
    assert client.sought[-1] == (HERE, sought)
    taken, _ = positions.take(HERE, [record(each) for each in range(sought, 8)])
    after, _, _ = positions.advanced(taken)
    assert after[HERE] == StoredOffset(8, 1007, found.get("t", read))


def test_a_topic_made_anew_while_it_is_read_begins_anew() -> None:
    positions, client = assigned(STORED._replace(topic_id=ID))
    positions.take(HERE, [record(4), record(5)])
    positions.compare_topics(client, {"t": ID})  # type: ignore[arg-type]
    assert client.sought == [(HERE, 4)]
    epoch = positions.epoch
    positions.compare_topics(client, {"t": OTHER_ID})  # type: ignore[arg-type]
    assert client.sought == [(HERE, 4), (HERE, 0)]
    assert positions.epoch > epoch


def test_what_is_revoked_is_not_taken() -> None:
    positions, _ = assigned(STORED)
    positions.revoke()
    assert positions.take(HERE, [record(5)]) == ((), False)
    assert positions.assigned == set()
