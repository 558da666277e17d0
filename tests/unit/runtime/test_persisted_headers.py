"""Headers that wait in an outbox are read by the build before this one, and it reads theirs."""

from collections.abc import Mapping
from typing import Final

import pytest
from pydantic_core import from_json, to_json

from lastmetre.common.kafka import codec

NAMES_OF_BEFORE: Final = (
    "ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "ce_recordedtime",
    "traceparent", "content-type",
)  # fmt: skip
V1: Final = {name: f"value {n}" for n, name in enumerate(NAMES_OF_BEFORE)}
ONE_MORE: Final = V1 | {"ce_dataschema": "a header that was added later"}
ANOTHER_ORDER: Final = dict(reversed(V1.items()))
LINE_BREAK: Final = V1 | {"ce_subject": "two\nlines"}


# As in commit 1a9898e, libs/common/common/runtime/records.py.
def kafka_headers_of_before(packed: bytes) -> list[tuple[str, bytes]]:
    if packed.startswith(b"{"):
        return [(name, value.encode()) for name, value in from_json(packed).items()]
    return list(zip(NAMES_OF_BEFORE, packed.split(b"\n"), strict=True))


def packed_of_before(values: Mapping[str, str]) -> bytes:
    headers = "\n".join(values.values()).encode()
    if headers.count(b"\n") >= len(NAMES_OF_BEFORE):
        headers = to_json(dict(zip(NAMES_OF_BEFORE, values.values(), strict=True)))
    return headers


def pairs(headers: Mapping[str, str]) -> list[tuple[str, bytes]]:
    return [(name, value.encode()) for name, value in headers.items()]


@pytest.mark.parametrize("headers", [V1, ONE_MORE, ANOTHER_ORDER, LINE_BREAK, {"ce_id": "alone"}])
def test_the_build_before_reads_what_this_one_writes(headers: Mapping[str, str]) -> None:
    assert kafka_headers_of_before(codec.packed_event(headers)) == pairs(headers)
    assert kafka_headers_of_before(codec.packed(headers)) == pairs(headers)


@pytest.mark.parametrize("headers", [V1, LINE_BREAK])
def test_this_build_reads_what_the_one_before_wrote(headers: Mapping[str, str]) -> None:
    assert codec.kafka_headers(packed_of_before(headers)) == pairs(headers)


@pytest.mark.parametrize("headers", [V1, ONE_MORE, ANOTHER_ORDER, LINE_BREAK])
def test_this_build_reads_its_own(headers: Mapping[str, str]) -> None:
    assert codec.kafka_headers(codec.packed_event(headers)) == pairs(headers)


def test_waiting_rows_are_read_when_events_have_a_header_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = packed_of_before(V1)
    monkeypatch.setattr(codec, "EVENT_HEADERS", tuple(ONE_MORE))
    assert codec.kafka_headers(waiting) == pairs(V1)


def test_the_headers_of_today_are_kept_as_lines() -> None:
    """Half as long as with their names: a header more has to be weighed against that."""
    assert codec.LINES_V1 == NAMES_OF_BEFORE
    assert codec.packed_event(dict.fromkeys(codec.EVENT_HEADERS, "x")) == b"\n".join([b"x"] * 9)
