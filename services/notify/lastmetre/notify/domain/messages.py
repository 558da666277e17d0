"""Messages: their kinds, whom they are for, and their identity."""

from enum import StrEnum
from hashlib import sha1
from typing import Final, NamedTuple
from uuid import UUID

from lastmetre.common.contracts.base import Origin
from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.contracts.deliveries import Recipient

_MESSAGES: Final = UUID("6f0c7d52-4d57-5a5e-9a53-9b1f6a3d2c11").bytes
_LEAD_PREFIX: Final = "lead:"

SHARDS: Final = 12
_FREE_BITS: Final = (1 << 128) - 1 ^ (0xF << 76 | 0x3 << 62)
_VERSION_5: Final = 5 << 76 | 2 << 62


class Kind(StrEnum):
    """What a message says. Each has a text in every language."""

    RECEIVED = "received"
    PLACED = "placed"
    MERGED = "merged"
    SPLIT = "split"
    ACCEPTED = "accepted"
    ARRIVED = "arrived"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    REOPENED = "reopened"
    ASSIGNED = "assigned"
    HANDED_OVER = "handed_over"


REPORTER: Final = "reporter"
"""The recipient that stands for the reporter whose report a case was registered for."""
_MERGED_PREFIX: Final = "reporter:"


def merged_recipient(report_id: UUID) -> str:
    """The recipient that stands for the reporter of a report that has joined a case."""
    return f"{_MERGED_PREFIX}{report_id}"


def merged_report_of(recipient: str) -> UUID | None:
    """The report that has joined the case, if its reporter is the recipient."""
    report_id = recipient.removeprefix(_MERGED_PREFIX)
    return None if report_id == recipient else UUID(report_id)


def lead_recipient(lead_id: str) -> str:
    """The recipient that stands for a lead."""
    return _LEAD_PREFIX + lead_id


def lead_of(recipient: str) -> str | None:
    """The lead's id, or None if the recipient is a reporter."""
    return recipient.removeprefix(_LEAD_PREFIX) if recipient.startswith(_LEAD_PREFIX) else None


def recipient_kind(recipient: str) -> Recipient:
    """Whether a recipient is a reporter or a lead."""
    return Recipient.LEAD if recipient.startswith(_LEAD_PREFIX) else Recipient.REPORTER


INTERRUPTED: Final = "interrupted"
"""Why nobody knows what became of a message: whoever was sending it ended first."""


class MessageRequest(NamedTuple):
    """A message that an event asks for. `lead` is whom its text names. Of history (`origin`) nobody
    is told: the case's for its leads, the report's for its reporter."""

    kind: Kind
    recipient: str
    origin: Origin
    lead: LocalName | None = None


def message_id(case_id: UUID, seq: int, recipient: str) -> UUID:
    """The same for every repetition of the same message."""
    return _uuid5(b"%b%d/%b" % (case_id.bytes, seq, recipient.encode()))


def id_sent_again(first_id: UUID, request_id: UUID) -> UUID:
    """The id of a message that is sent again because of that request."""
    return _uuid5(first_id.bytes + request_id.bytes)


def _uuid5(name: bytes) -> UUID:
    """As uuid5, which takes text only."""
    digest = int.from_bytes(sha1(_MESSAGES + name, usedforsecurity=False).digest()[:16])
    return UUID(int=digest & _FREE_BITS | _VERSION_5)


def shard_of(case_id: UUID) -> int:
    """Which of the shards a case's messages belong to: the low bits of a UUIDv7 are random."""
    return case_id.int % SHARDS
