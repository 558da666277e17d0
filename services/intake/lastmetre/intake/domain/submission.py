"""Which report a record of the channels holds: who sent it, and what it says byte by byte."""

import re
from typing import Final, NamedTuple

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.reports import ReportSubmitted

OPEN_SENDER: Final = "web-form"
"""Whoever fills in our own form: nobody has a key for it."""
_SOURCE: Final = re.compile(
    rf"/channels/({'|'.join(channel.value for channel in Channel)})/([^/\x00-\x1f\x7f]{{1,120}})"
)


class NotAcknowledged(Exception):
    """Kafka did not, or not in time: the sender may send again, its id makes that safe."""


class SentForm(NamedTuple):
    """A report from our own form that Kafka has."""

    identity: bytes
    corrects: bool
    """Whether it was sent before with other contents: after Back, to put something right."""


def source_of(channel: str, sender: str) -> str:
    """The `ce_source` of what `sender` sends through `channel`."""
    return f"/channels/{channel}/{sender}"


def channel_and_sender(source: str) -> tuple[str, str] | None:
    """Channel and sender of a `ce_source`, or None if it names neither."""
    match = _SOURCE.fullmatch(source)
    return (match[1], match[2]) if match else None


_READ_FROM: Final = {"read_by", "sent"}
"""Which mapping read it, and from what: a partner's repetition may differ in what is not read."""


def canonical(report: ReportSubmitted) -> bytes:
    """What the report says, as JSON in one form: without unknown fields, those at their defaults,
    and what a mapping read it from.

    So a repetition is recognised whatever its white space, and also after a field was added.
    """
    without = _READ_FROM if report.read_by or report.sent else None
    return report.__pydantic_serializer__.to_json(report, exclude=without, exclude_defaults=True)


def record_body(report: ReportSubmitted) -> bytes:
    """The whole report, as it stands in its channel's record."""
    return report.__pydantic_serializer__.to_json(report, exclude_defaults=True)
