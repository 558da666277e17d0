"""Kafka records in and out, as CloudEvents 1.0 in binary content mode."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from lastmetre.common.contracts.base import Message
from lastmetre.common.contracts.topics import TOPICS
from lastmetre.common.kafka.lenient_headers import UNREADABLE
from lastmetre.common.service.ids import TRACEPARENT
from lastmetre.common.telemetry.logs import of_case

Headers = Sequence[tuple[str, bytes | None]]

BY_CASE: Final = frozenset(topic.name for topic in TOPICS if topic.key == "case id")
CONTENT_TYPE: Final = "application/json"
LINES_V1: Final = (
    "ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "ce_recordedtime",
    "traceparent", "content-type",
)  # fmt: skip
"""What the lines are that the outbox keeps of an event. Rows wait in databases, and older builds
read them: this list never changes."""
EVENT_HEADERS: Final[tuple[str, ...]] = LINES_V1
"""Of every message of ours, in this order. Others than version 1 are kept as a JSON object, with
their names, which every build reads."""


class ConsumedRecord(NamedTuple):
    """A record as it was read. `topic` is without the city's prefix; `timestamp` is the
    broker's append time in milliseconds since 1970 UTC. `span` is the context of the span that
    handles it, where there is one."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    span: str | None = None

    def header(self, name: str) -> bytes | None:
        """The first header called `name`."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    @property
    def appended_at(self) -> datetime:
        """When the broker took the record, UTC."""
        return datetime.fromtimestamp(self.timestamp / 1000, UTC)

    @property
    def traceparent(self) -> str | None:
        """What follows from the record belongs below this: the span that handles it, or whatever
        wrote it, if that has said so by W3C's rules."""
        if self.span:
            return self.span
        value = self.header("traceparent")
        return value.decode() if value and TRACEPARENT.match(value) else None

    @property
    def log_context(self) -> dict[str, Any]:
        """For a log: its place, its case and its trace. Keys of other topics may be anything."""
        place = {"topic": self.topic, "partition": self.partition, "offset": self.offset}
        if self.topic not in BY_CASE or self.key is None:
            return place
        try:
            return place | of_case(UUID(self.key.decode()), self.traceparent)
        except ValueError:
            return place


class OutboxMessage(NamedTuple):
    """A record on its way out through the outbox; `headers` as `packed` makes them."""

    topic: str
    key: bytes
    headers: bytes
    value: bytes | None

    @property
    def size(self) -> int:
        """Bytes, as far as they are its own."""
        return len(self.key) + len(self.headers) + len(self.value or b"")


_UNKNOWN_VALUE: Final = {"enum", "literal_error"}
"""What pydantic calls a value that is none of those that the model knows."""


class BadRecord(Exception):
    """The record's data is wrong and will stay wrong: it belongs to the dead letters."""


class UnknownEventType(Exception):
    """Our own topic holds a type or version that this build does not know: it is too old."""


@lru_cache(maxsize=1024)
def instant(value: datetime) -> str:
    """RFC 3339 in UTC with a Z, to the microsecond if any. Most in a batch are one instant."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def cloud_event(
    message: Message,
    *,
    topic: str,
    key: str,
    event_id: str,
    source: str,
    occurred_at: datetime,
    recorded_at: datetime,
    traceparent: str,
) -> OutboxMessage:
    """`message` as a CloudEvent. `occurred_at` becomes ce_time, `recorded_at` ce_recordedtime."""
    headers = event_headers(
        message.TYPE,
        key=key,
        event_id=event_id,
        source=source,
        occurred_at=occurred_at,
        recorded_at=recorded_at,
        traceparent=traceparent,
    )
    return OutboxMessage(topic, key.encode(), headers, message.to_json())


def event_headers(
    type_: str,
    *,
    key: str,
    event_id: str,
    source: str,
    occurred_at: datetime,
    recorded_at: datetime,
    traceparent: str,
) -> bytes:
    """The headers of a CloudEvent, as an `OutboxMessage` has them."""
    values = (
        "1.0",
        event_id,
        type_,
        source,
        key,
        instant(occurred_at),
        instant(recorded_at),
        traceparent,
        CONTENT_TYPE,
    )
    return packed_event(dict(zip(EVENT_HEADERS, values, strict=True)))


def packed_event(headers: Mapping[str, str]) -> bytes:
    """The headers of an event: as lines if they are those of version 1, else as `packed`."""
    if tuple(headers) == LINES_V1:
        lines = "\n".join(headers.values()).encode()
        if lines.count(b"\n") < len(LINES_V1):  # else a value has a line break of its own
            return lines
    return packed(headers)


def packed(headers: Mapping[str, str]) -> bytes:
    """Any headers as the outbox keeps them: a JSON object. Of an event it is the values alone,
    a line each: half as long, made and read in half the time."""
    return to_json(headers)


def kafka_headers(packed: bytes) -> list[tuple[str, bytes]]:
    """The headers of an `OutboxMessage` as the producer wants them."""
    if packed.startswith(b"{"):
        return [(name, value.encode()) for name, value in from_json(packed).items()]
    return list(zip(LINES_V1, packed.split(b"\n"), strict=True))


def packed_traceparent(packed: bytes) -> str | None:
    """The header `traceparent` of an `OutboxMessage`, whatever it holds."""
    found = dict(kafka_headers(packed)).get("traceparent")
    return found.decode() if found else None


def message_type(record: ConsumedRecord) -> str:
    """The CloudEvents type of `record`; raises BadRecord where it has none.

    And for a record with a header whose name nobody could read: what it says is in doubt.
    """
    headers = record.headers
    if headers and headers[0][0] == UNREADABLE:
        raise BadRecord("the name of a header is not UTF-8")
    raw = record.header("ce_type")
    if raw is None:
        raise BadRecord("the header ce_type is missing")
    return raw.decode("utf-8", "replace")


def decode(record: ConsumedRecord, types: Mapping[str, type[Message]]) -> Message:
    """The message in a record of our own topics.

    Raises UnknownEventType for a type that is not in `types`, or where nothing is wrong but values
    of enums that this build does not know; BadRecord for anything else.
    """
    name = message_type(record)
    model = types.get(name)
    if model is None:
        raise UnknownEventType(f"{record.topic} holds the type {name!r}, not known to this build")
    if record.value is None:
        raise BadRecord("the record has no body")
    try:
        return model.from_json(record.value)
    except ValidationError as error:
        kinds = {each["type"] for each in error.errors(include_url=False, include_input=False)}
        if kinds <= _UNKNOWN_VALUE:
            raise UnknownEventType(f"{record.topic}, {name}: {describe(error)}") from error
        raise BadRecord(describe(error)) from error


def describe(error: ValidationError) -> str:
    """What is wrong, by field, without the values: they may be personal data."""
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}"
        for each in error.errors(include_url=False, include_context=False, include_input=False)[:8]
    )
