"""A balance: lines with two sides that must come to the same, and what is wrong where not."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

# Every line of the books, in the order of a report's way.
TITLES: Final = {
    "channel_records": "Records of the channels below intake's position",
    "channel_gaps": "Offsets of the channels that intake passed over held no record",
    "held_back": "Records of stopped senders wait",
    "contents": "Reports in intake have their contents",
    "accepted_told": "Accepted reports in intake are on their topic",
    "rejected_told": "Rejected reports in intake are on their topic",
    "registered": "Accepted reports are cases, or have joined one",
    "one_case": "Each report is in one case, each case has a number of its own",
    "ledger_in_dispatch": "Each case's entries are 1 to its last, in dispatch",
    "ledger_on_topic": "Each case's entries are 1 to its last, on the topic",
    "ledger_told": "Dispatch's entries are on the topic",
    "decisions": "Decisions whose beginning is in the log are finished",
    "merges": "Reports of merged cases have joined the other case",
    "splits": "Reports that were split off are cases of their own",
    "case_state": "Dispatch's cases stand as their ledger says",
    "applied_intake": "Events below the position of intake's view",
    "applied_notify": "Events below notify's position",
    "applied_metrics": "Events below metrics' position",
    "actions": "Actions below dispatch's position",
    "outcomes": "Actions answered in dispatch are told",
    "feedback_told": "Ratings given in notify are on their topic",
    "feedback": "Feedback below dispatch's position",
    "feedback_refused": "Feedback that dispatch refused",
    "ratings": "Feedback that was granted is in the ledger",
    "messages": "Messages that the ledger asks for",
    "deliveries": "Ended messages in notify are on their topic",
    "message_files": "Messages sent to the folder are files there",
    "facts": "Metrics' facts are what the ledger says",
    "counted_reports": "Reports below metrics' position",
    "counted_messages": "Deliveries below metrics' position",
    "acknowledged": "What was acknowledged to the services stands in the log",
    "positions": "Stored positions lie within their topics",
    "receipts": "Receipts given are in the books",
}


BEFORE: Final = "counted before the checkpoint"
"""What a line calls rows whose counterpart stands before the checkpoint."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that does not agree: which one, and in what."""

    id: str
    what: str


@dataclass(slots=True)
class Line:
    """One line: what there has to be on one side, where it is on the other."""

    name: str
    expected: Counter[str] = field(default_factory=Counter)
    actual: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What the line says, for people."""
        return TITLES[self.name]

    @property
    def balanced(self) -> bool:
        """Both sides come to the same and nothing in them disagrees."""
        return not self.differences and self.expected.total() == self.actual.total()

    def differ(self, identity: object, what: str) -> None:
        """Note that `identity` is not as it should be."""
        self.differences.append(Difference(str(identity), what))

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "balanced": self.balanced,
            "expected": dict(self.expected),
            "actual": dict(self.actual),
            "differences": [{"id": each.id, "what": each.what} for each in self.differences],
        }


class Balance:
    """All lines of an audit."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}

    def line(self, name: str) -> Line:
        """The line of that name, made when first asked for."""
        if name not in TITLES:
            raise KeyError(name)
        return self._lines.setdefault(name, Line(name))

    def __iter__(self) -> Iterator[Line]:
        return (self._lines[name] for name in TITLES if name in self._lines)

    @property
    def balanced(self) -> bool:
        """Every line is."""
        return all(line.balanced for line in self)
