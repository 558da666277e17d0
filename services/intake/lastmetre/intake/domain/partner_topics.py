"""Topics of partners who write in their own form: whose each is, and what reads it."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.mapping.engine import Reader

PORTION: Final = 1024 * 1024
"""Characters that are sent at a time: within what one sender may have in flight."""
_BESIDE: Final = 2048
"""Counted for each report beside what was sent."""


class PartnerTopic(NamedTuple):
    """A topic (without the city's prefix), the channel and sender of its reports, its mapping."""

    topic: str
    channel: Channel
    sender: str
    reader: Reader


def in_portions(reports: Sequence[ReportSubmitted]) -> Iterator[list[ReportSubmitted]]:
    """The reports in order, so many at a time as may be in flight together."""
    portion: list[ReportSubmitted] = []
    size = 0
    for report in reports:
        length = len(report.sent or "") + len(report.text or "") + _BESIDE
        if portion and size + length > PORTION:
            yield portion
            portion, size = [], 0
        portion.append(report)
        size += length
    if portion:
        yield portion
