"""From a row to the report that its channel would have sent."""

from typing import NamedTuple

from lastmetre.common.contracts.base import Channel, Origin
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.mapping.engine import Reader
from lastmetre.common.mapping.values import Unusable, Words
from lastmetre.common.tables.reading import Row


class Prepared(NamedTuple):
    """A report ready to be sent, where it stands in the file, and what is doubtful about it."""

    line: int
    channel: Channel
    report: ReportSubmitted
    doubt: str | None

    @property
    def identity(self) -> tuple[Channel, str]:
        """With the channel's sender, which report it is."""
        return self.channel, self.report.source_id


def prepare(row: Row, reader: Reader, *, live: bool) -> Prepared:
    """The report in a row. Raises Unusable, also for what could be left out of it: whoever has the
    file can put it right.

    `live`: it happens now, so its time is when intake receives it, and a repetition stays the same.
    """
    if row.problem:
        raise Unusable(Words("", row.problem))
    origin = Origin.LIVE if live else Origin.IMPORT
    reading = reader.read(row.cells, own_time=not live, origin=origin)
    wrong = [words.quoting() for each in reading.fields if (words := each.mistake or each.lost)]
    if wrong or reading.report is None or reading.channel is None:
        raise Unusable(Words("", "; ".join(wrong)))
    doubts = "; ".join(each.doubt for each in reading.fields if each.doubt)
    return Prepared(row.line, reading.channel, reading.report, doubts or None)
