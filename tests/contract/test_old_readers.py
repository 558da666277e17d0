"""What a change of the contracts means for a reader that is older, and that it does just that.

The reader of these tests is today's; what it reads was written by a build that knows more. Fields,
values and events are added at every place where the schemas have room for them.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from lastmetre.common.contracts.base import Code, Message
from lastmetre.common.contracts.cases import (
    CaseEvent,
    CaseNoted,
    CategoryChanged,
    LocationChanged,
)
from lastmetre.common.contracts.messages import MESSAGE_TYPES, TOPIC_MESSAGES
from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, UnknownEventType, decode
from lastmetre.devstack.contracts.compatibility import Change, Meaning, changes
from lastmetre.devstack.contracts.samples import sample_of
from lastmetre.devstack.contracts.schemas import message_schema

SCHEMAS = {name: message_schema(kind) for name, kind in MESSAGE_TYPES.items()}
TOPIC_OF = {kind.TYPE: topic for topic, kinds in TOPIC_MESSAGES.items() for kind in kinds}
NEW = "not_known_yet"

Place = tuple[str | int, ...]
"""Where something stands in a body: names of fields, 0 for what is in an array."""


def resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """What is said of a value that is not null."""
    if "$ref" in schema:
        found: dict[str, Any] = document["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        return resolved(found, document)
    if "anyOf" in schema:
        filled = next(each for each in schema["anyOf"] if each.get("type") != "null")
        return resolved(filled, document)
    return schema


def values(
    schema: dict[str, Any], document: dict[str, Any], path: Place = ()
) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Every value of a message with what its schema says, the body itself first."""
    said = resolved(schema, document)
    yield path, said
    if "items" in said:
        yield from values(said["items"], document, (*path, 0))
    for name, inner in said.get("properties", {}).items():
        yield from values(inner, document, (*path, name))


ENUMS = [
    (name, path)
    for name, schema in SCHEMAS.items()
    for path, said in values(schema, schema)
    if "enum" in said or "const" in said
]
OBJECTS = [
    (name, path)
    for name, schema in SCHEMAS.items()
    for path, said in values(schema, schema)
    if "properties" in said
]


def sample(name: str) -> Any:
    return sample_of(SCHEMAS[name])


def with_value(body: Any, path: Place, value: Any) -> Any:
    """The body with another value at that place."""
    *outer, last = path
    inside = body
    for each in outer:
        inside = inside[each]
    inside[last] = value
    return body


def read(name: str, body: Any) -> Message:
    record = ConsumedRecord(
        TOPIC_OF[name], 0, 0, 0, b"key", json.dumps(body).encode(), [("ce_type", name.encode())]
    )
    return decode(record, MESSAGE_TYPES)


def told(name: str, schema: dict[str, Any]) -> list[Change]:
    """What is said of a contract of which this schema is the next."""
    return changes(SCHEMAS, {**SCHEMAS, name: schema})


def test_there_is_something_to_try() -> None:
    assert {name for name, _ in OBJECTS} == set(MESSAGE_TYPES)
    assert ("lastmetre.case.unplaced.v1", ("reason",)) in ENUMS
    assert ("lastmetre.case.unplaced.v1", ("actor", "role")) in ENUMS
    assert ("lastmetre.report.rejected.v1", ("reasons", 0)) in ENUMS
    assert ("lastmetre.case.registered.v1", ("position",)) in OBJECTS


@pytest.mark.parametrize(("name", "path"), ENUMS)
def test_a_value_added_to_an_enum_waits(name: str, path: Place) -> None:
    schema = copy.deepcopy(SCHEMAS[name])
    said = dict(values(schema, schema))[path]
    said["enum"] = [*(said.get("enum") or [said.pop("const")]), NEW]
    assert {each.meaning for each in told(name, schema)} == {Meaning.WAITS}
    with pytest.raises(UnknownEventType):
        read(name, with_value(sample(name), path, NEW))


@pytest.mark.parametrize(("name", "path"), ENUMS)
def test_a_value_added_beside_a_mistake_is_bad(name: str, path: Place) -> None:
    body = with_value(sample(name), path, NEW)
    required = next(
        each for each in SCHEMAS[name]["required"] if each != path[0] and each != "actor"
    )
    del body[required]
    with pytest.raises(BadRecord):
        read(name, body)


@pytest.mark.parametrize(("name", "path"), OBJECTS)
def test_a_field_added_is_passed_over(name: str, path: Place) -> None:
    schema = copy.deepcopy(SCHEMAS[name])
    dict(values(schema, schema))[path]["properties"][NEW] = {"type": "string", "default": ""}
    assert {each.meaning for each in told(name, schema)} == {Meaning.PASSES_OVER}
    body = with_value(sample(name), (*path, NEW), "something")
    assert read(name, body) == read(name, sample(name))


class CaseSeenByTomorrow(CaseEvent):
    """An event that a later build may say."""

    TYPE: ClassVar[str] = "lastmetre.case.seen_by_tomorrow.v1"

    note_code: Code


@pytest.mark.parametrize("topic", TOPIC_MESSAGES)
def test_an_event_added_waits(topic: str) -> None:
    following = {**SCHEMAS, CaseSeenByTomorrow.TYPE: message_schema(CaseSeenByTomorrow)}
    assert changes(SCHEMAS, following) == [
        Change(CaseSeenByTomorrow.TYPE, "a new message", Meaning.WAITS)
    ]
    headers = [("ce_type", CaseSeenByTomorrow.TYPE.encode())]
    with pytest.raises(UnknownEventType):
        decode(ConsumedRecord(topic, 0, 0, 0, b"key", b"{}", headers), MESSAGE_TYPES)


@pytest.mark.parametrize("kind", [CategoryChanged, LocationChanged, CaseNoted])
def test_a_reader_of_before_waits_at_what_is_added_to_a_case(kind: type[CaseEvent]) -> None:
    """None of them may be passed over: the ledger would have a hole, and the next event no turn."""
    before = {name: each for name, each in MESSAGE_TYPES.items() if name != kind.TYPE}
    known = {name: SCHEMAS[name] for name in before}
    assert changes(known, SCHEMAS) == [Change(kind.TYPE, "a new message", Meaning.WAITS)]
    headers = [("ce_type", kind.TYPE.encode())]
    body = json.dumps(sample(kind.TYPE)).encode()
    with pytest.raises(UnknownEventType):
        decode(ConsumedRecord(CASE_EVENTS, 0, 0, 0, b"key", body, headers), before)


@pytest.mark.parametrize("name", MESSAGE_TYPES)
def test_a_message_or_a_field_that_is_gone_breaks_what_was_written(name: str) -> None:
    without = {each: schema for each, schema in SCHEMAS.items() if each != name}
    assert changes(SCHEMAS, without) == [Change(name, "removed", Meaning.CANNOT_READ)]
    schema = copy.deepcopy(SCHEMAS[name])
    field = schema["required"][0]
    del schema["properties"][field]
    schema["required"].remove(field)
    assert told(name, schema) == [Change(name, f"{field}: removed or renamed", Meaning.CANNOT_READ)]


@pytest.mark.parametrize("name", MESSAGE_TYPES)
def test_a_next_version_waits(name: str) -> None:
    headers = [("ce_type", name.replace(".v1", ".v9").encode())]
    record = ConsumedRecord(
        TOPIC_OF[name], 0, 0, 0, b"key", json.dumps(sample(name)).encode(), headers
    )
    with pytest.raises(UnknownEventType):
        decode(record, MESSAGE_TYPES)
