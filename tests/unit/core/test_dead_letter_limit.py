"""A sender most of whose records are dead letters is found, and nobody else."""

import pytest

from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.dead_letter_limit import DeadLetterLimit, Sender


def records(source: str | None, count: int, partition: int = 0) -> list[ConsumedRecord]:
    headers = [] if source is None else [("ce_source", source.encode())]
    return [ConsumedRecord("t", partition, n, 1, None, b"", headers) for n in range(count)]


def bad(handled: list[ConsumedRecord]) -> list[tuple[ConsumedRecord, str]]:
    return [(each, "no JSON") for each in handled]


@pytest.mark.parametrize(
    ("handled", "dead", "stopped"),
    [
        (199, 199, False),
        (200, 100, False),
        (200, 101, True),
        (200, 200, True),
        (1000, 500, False),
        (1000, 501, True),
        (5000, 0, False),
    ],
)
def test_more_than_half_of_a_window_stops_a_sender(handled: int, dead: int, stopped: bool) -> None:
    seen = records("a", handled)
    found = DeadLetterLimit().over(seen, bad(seen[:dead]))
    assert list(found) == ([Sender("t", 0, "a")] if stopped else [])


def test_the_reason_says_how_many_and_what_was_wrong() -> None:
    seen = records("a", 200)
    reason = "150 of 200 records were dead letters, the last one: no JSON"
    assert DeadLetterLimit().over(seen, bad(seen[:150])) == {Sender("t", 0, "a"): reason}


def test_senders_and_partitions_are_counted_apart() -> None:
    limit = DeadLetterLimit()
    mine, good, elsewhere = records("a", 200), records("b", 200), records("a", 199, 1)
    found = limit.over(mine + good + elsewhere, bad(mine + elsewhere))
    assert list(found) == [Sender("t", 0, "a")]


def test_a_window_goes_over_batches_and_begins_anew_behind_its_end() -> None:
    limit = DeadLetterLimit()
    tenth = records("a", 20)
    found = [list(limit.over(tenth, bad(tenth[:10]))) for _ in range(10)]
    assert found == [[]] * 10
    found = [list(limit.over(tenth, bad(tenth[:11]))) for _ in range(10)]
    assert found == [[]] * 9 + [[Sender("t", 0, "a")]]


def test_a_record_without_a_source_has_the_empty_sender() -> None:
    assert Sender.of(records(None, 1)[0]) == Sender("t", 0, "")


def test_a_source_is_one_that_a_database_can_keep() -> None:
    strange = Sender.of(records("a\0" + "x" * 300, 1)[0]).source
    assert (strange[:2], len(strange)) == ("a\ufffd", 200)


def test_the_key_of_a_sender_is_always_the_same_and_nobody_elses() -> None:
    senders = [Sender("t", 0, "a"), Sender("t", 1, "a"), Sender("u", 0, "a"), Sender("t", 0, "b")]
    assert len({each.key for each in senders}) == len(senders)
    assert Sender("t", 0, "a").key == senders[0].key


def test_what_is_counted_in_a_copy_is_not_counted() -> None:
    limit, seen = DeadLetterLimit(), records("a", 150)
    assert limit.over(seen, bad(seen)) == {}
    assert list(limit.copy().over(seen, bad(seen))) == [Sender("t", 0, "a")]
    assert limit.over(seen[:49], bad(seen[:49])) == {}
