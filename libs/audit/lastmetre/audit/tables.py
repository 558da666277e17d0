"""The tables that an audit counts, and how it knows that none of their older rows is gone.

A row that was written, or written anew, since the checkpoint shows that by its `xmin`, and is
looked at. One that was deleted shows nothing: so the older rows are counted. Of a table whose rows
are only added there must be as many as before. Of the others, rows that were written anew are added
if they had been there before: `kept_by` says how that is known,
and what they all say must come to the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple


class KeptBy(Enum):
    """How a row that was written since is known to have been there before."""

    NEVER = auto()
    """Rows are only added."""
    CASE = auto()
    """A row for each case, for as long as there is one: its case had events before."""
    RECORD = auto()
    """It is of a record that had been read."""
    LETTER = auto()
    """It is of a record that had been read, and was not parked."""
    ANSWER = auto()
    """It is of feedback that had been answered."""
    REQUEST = auto()
    """It is of a request that was still open."""


class Rows(NamedTuple):
    """Rows of a table: how many, and one number for what they all say, in whichever order."""

    number: int
    digest: int

    def with_also(self, others: "Rows") -> "Rows":
        """These and those."""
        return Rows(self.number + others.number, self.digest ^ others.digest)


@dataclass(frozen=True)
class Table:
    """A table of a service. `of_case`: it says which case a row is of. `said`: the columns that are
    compared with what stands on a topic, of rows that may be written anew for other reasons."""

    service: str
    name: str
    kept_by: KeptBy
    of_case: bool = False
    said: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SQL: a number for what a row says."""
        columns = ", ".join(self.said)
        return f"hashtextextended(ROW({columns})::text, 0)" if columns else "0::bigint"

    @property
    def quoted(self) -> str:
        """As SQL has it."""
        return f'"{self.name}"'


_REPORT: Final = (
    "report_id", "identity", "outcome", "reasons", "channel", "origin", "category", "reported_at",
    "latitude", "longitude",
)  # fmt: skip
_RATING: Final = ("feedback_id", "closing", "report_id", "solved", "score", "reopen", "case_id")

TABLES: Final[Sequence[Table]] = (
    Table("intake", "report", KeptBy.RECORD, said=_REPORT),
    Table("intake", "later_record", KeptBy.RECORD, said=("report_id", "outcome")),
    Table("intake", "dead_letter", KeptBy.LETTER),
    Table("intake", "passed_over", KeptBy.NEVER),
    Table("intake", "empty_stretch", KeptBy.NEVER),
    Table("intake", "case_view", KeptBy.CASE, of_case=True),
    Table("intake", "timeline", KeptBy.NEVER, of_case=True),
    Table("dispatch", "case", KeptBy.CASE, of_case=True),
    Table("dispatch", "ledger", KeptBy.NEVER, of_case=True),
    Table("dispatch", "answer", KeptBy.NEVER, of_case=True),
    Table("dispatch", "dead_letter", KeptBy.LETTER),
    Table("notify", "subject", KeptBy.CASE, of_case=True),
    Table("notify", "message_done", KeptBy.NEVER, of_case=True),
    Table("notify", "message_again", KeptBy.REQUEST, of_case=True),
    Table("notify", "rating", KeptBy.ANSWER, of_case=True, said=_RATING),
    Table("notify", "dead_letter", KeptBy.LETTER),
    Table("metrics", "fact", KeptBy.CASE, of_case=True),
    Table("metrics", "report", KeptBy.NEVER),
    Table("metrics", "message", KeptBy.NEVER),
    Table("metrics", "dead_letter", KeptBy.LETTER),
)
"""Of rows that come and go the checkpoint itself has what matters: what was parked, or waits to be
sent. Which reports a case has is compared as a whole."""

TOUCHING: Final = (
    ("intake", "merged_report"),
    ("notify", "message_waiting"),
    ("notify", "adopted_delivery"),
)
"""Tables of the latter kind, as (service, name): what was written there touches its `case_id`."""
