"""Ids that are derived: the same parts give the same UUIDv7, other parts another one."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastmetre.common.service.ids import derived_uuid7, milliseconds_of

MILLISECONDS = st.integers(min_value=0, max_value=2**48 - 1)
PARTS = st.lists(st.binary(max_size=20), max_size=4)


@given(MILLISECONDS, PARTS)
def test_the_layout_is_that_of_rfc_9562(milliseconds: int, parts: list[bytes]) -> None:
    derived = derived_uuid7(milliseconds, *parts)
    assert (derived.version, derived.variant) == (7, uuid.RFC_4122)
    assert milliseconds_of(derived) == milliseconds
    assert derived == derived_uuid7(milliseconds, *parts)


@given(PARTS, PARTS)
def test_other_parts_give_another_id(one: list[bytes], other: list[bytes]) -> None:
    same = derived_uuid7(1, *one) == derived_uuid7(1, *other)
    assert same == (one == other)


def test_an_id_that_was_derived_once_never_changes() -> None:
    """Cases and reports are found again by these: another digest would be another case."""
    assert (
        str(derived_uuid7(1_700_000_000_000, b"case", bytes(range(16))))
        == "018bcfe5-6800-7f68-a38c-c3944feb52ae"
    )


def test_where_a_part_ends_counts() -> None:
    assert derived_uuid7(1, b"ab", b"c") != derived_uuid7(1, b"a", b"bc")


def test_later_ids_sort_behind_earlier_ones() -> None:
    assert derived_uuid7(1, b"x") < derived_uuid7(2, b"x") < derived_uuid7(2**40, b"x")


@pytest.mark.parametrize("milliseconds", [-1, 2**48])
def test_a_time_that_does_not_fit_is_refused(milliseconds: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        derived_uuid7(milliseconds, b"x")
