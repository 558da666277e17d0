"""Of each area the highest version counts, whatever order its records come in."""

import itertools

import pytest

from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.contracts.network import REMOVED_IN_VERSION, AreaPublished
from lastmetre.common.kafka.area_changes import (
    AreaChange,
    AreaRemoved,
    decode_area_change,
    newest_of_each,
    removal,
)
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, Headers, kafka_headers


def area(version: int, area_id: str = "A1") -> AreaPublished:
    return AreaPublished(
        area_id=area_id, name=LocalName(zh="一", en="One"), outline={}, network_version=version
    )


def record(key: bytes | None, value: bytes | None, headers: Headers) -> ConsumedRecord:
    return ConsumedRecord("network.areas", 0, 0, 0, key, value, headers)


def test_a_removal_says_its_version_and_has_no_body() -> None:
    sent = removal("A1", 7)
    assert (sent.key, sent.value) == (b"A1", None), "older readers and compaction know it so"
    read = decode_area_change(record(sent.key, sent.value, kafka_headers(sent.headers)))
    assert read == AreaRemoved("A1", 7)


def test_a_removal_of_an_older_build_says_none() -> None:
    assert decode_area_change(record(b"A1", None, [])) == AreaRemoved("A1", None)


@pytest.mark.parametrize("said", [b"", b"-1", b"0", b"x", b"1.5", b"2147483648", b"9" * 20])
def test_a_version_that_is_none_is_bad(said: bytes) -> None:
    with pytest.raises(BadRecord):
        decode_area_change(record(b"A1", None, [(REMOVED_IN_VERSION, said)]))


def test_a_record_without_a_key_is_bad() -> None:
    with pytest.raises(BadRecord):
        decode_area_change(record(None, None, []))


IN_ORDER: list[AreaChange] = [area(4), AreaRemoved("A1", 5), area(6)]


@pytest.mark.parametrize("order", list(itertools.permutations(IN_ORDER)))
def test_the_highest_version_counts(order: tuple[AreaChange, ...]) -> None:
    assert newest_of_each(order) == [area(6)]


def test_areas_stand_for_themselves_and_of_one_version_the_last_counts() -> None:
    changes: list[AreaChange] = [area(2, "A2"), AreaRemoved("A1", 3), area(2), AreaRemoved("A2", 2)]
    assert newest_of_each(changes) == [AreaRemoved("A2", 2), AreaRemoved("A1", 3)]


def test_without_a_version_the_order_decides() -> None:
    gone = AreaRemoved("A1", None)
    assert newest_of_each([area(9), gone]) == [gone]
    assert newest_of_each([gone, area(1)]) == [area(1)]
