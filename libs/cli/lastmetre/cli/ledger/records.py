"""A record of the ledger as a line of a file: JSON, in which bytes that are no text are base64."""

import base64
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.codec import ConsumedRecord, Headers
from lastmetre.common.kafka.lenient_headers import UNREADABLE


class RecordUnreadable(ValueError):
    """It cannot be written so that it could be had again, or a line holds none."""


class KeptRecord(NamedTuple):
    """A record with all that a reader sees of it. `appended_at`: milliseconds since 1970 UTC."""

    offset: int
    appended_at: int
    key: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    value: bytes | None

    @classmethod
    def of(cls, record: ConsumedRecord) -> "KeptRecord":
        """As it was read. Raises RecordUnreadable for one whose headers nobody can read."""
        headers = tuple((name, value) for name, value in record.headers)
        if headers and headers[0][0] == UNREADABLE:
            raise RecordUnreadable(
                f"{record.topic}/{record.partition}/{record.offset}: the name of a header is not"
                " UTF-8"
            )
        return cls(record.offset, record.timestamp, record.key, headers, record.value)

    def consumed(self, partition: int) -> ConsumedRecord:
        """As a reader of the topic has it."""
        return ConsumedRecord(
            CASE_EVENTS,
            partition,
            self.offset,
            self.appended_at,
            self.key,
            self.value,
            self.headers,
        )

    @property
    def sent(self) -> tuple[bytes | None, Headers, bytes | None]:
        """What its producer gave: the broker added the rest."""
        return self.key, self.headers, self.value

    @property
    def event_id(self) -> str:
        """`ce_id`: the case's id, a colon, the event's seq. Empty if it has none."""
        return next((_text(value) for name, value in self.headers if name == "ce_id"), "")


def written(record: KeptRecord) -> bytes:
    """The record as a line, its end included."""
    document = {
        "offset": record.offset,
        "appended_at": record.appended_at,
        "key": _json(record.key),
        "headers": [[name, _json(value)] for name, value in record.headers],
        "value": _json(record.value),
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def read(line: bytes) -> KeptRecord:
    """The record of a line. Raises RecordUnreadable."""
    try:
        found = json.loads(line)
        return KeptRecord(
            found["offset"],
            found["appended_at"],
            _bytes(found["key"]),
            tuple((name, _bytes(value)) for name, value in found["headers"]),
            _bytes(found["value"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecordUnreadable("a line holds no record") from error


def read_all(content: bytes) -> Sequence[KeptRecord]:
    """The records of a file. Raises RecordUnreadable."""
    return [read(line) for line in content.split(b"\n") if line]


def _json(value: bytes | None) -> str | dict[str, str] | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _bytes(value: Any) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, dict):
        return base64.b64decode(value["base64"], validate=True)
    found: bytes = value.encode()
    return found


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
