"""What a mapping makes of samples, field by field: what comes out, what is missing or dropped."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from typing import Any, Final

import numpy as np

from lastmetre.cli.channel.samples import Sample
from lastmetre.cli.channel.watching import leaves, watched
from lastmetre.common.contracts.reports import Datum
from lastmetre.common.datum import to_wgs84
from lastmetre.common.mapping.engine import Field, Reader, Reading
from lastmetre.common.mapping.model import JsonMapping

OURS: Final = (
    "source_id", "reported_at", "sub_channel", "category", "text", "address", "position",
    "contact.name", "contact.phone", "contact.email",
)  # fmt: skip
EXAMPLES: Final = 5


@dataclass
class Totals:
    """A field over all samples."""

    places: tuple[str, ...]
    filled: int = 0
    missing: int = 0
    unusable: int = 0
    problems: list[str] = field(default_factory=list)
    """The first few, with where they are."""


@dataclass
class Line:
    """A field of one document: where it stood, what was sent, what it became, what is wrong."""

    field: str
    places: tuple[str, ...]
    sent: str | None
    becomes: str | None
    problem: str | None


@dataclass
class Checked:
    """A document: whether it becomes a report, its fields, and what no name of the mapping asks
    for."""

    where: str
    becomes_report: bool
    problem: str | None
    fields: list[Line]
    dropped: list[str]


class Check:
    """Adds up what becomes of samples."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.documents = self.reports = self.unusable = 0
        self.totals: dict[str, Totals] = {}
        self.dropped: Counter[str] = Counter()
        self._there: set[str] = set()

    def add(self, sample: Sample) -> Checked:
        """Read one more."""
        self.documents += 1
        if sample.problem:
            self.unusable += 1
            return Checked(sample.where, False, sample.problem, [], [])
        reading, dropped = self._read(sample)
        self.dropped.update(dropped)
        self.reports += reading.report is not None
        self.unusable += any(each.mistake or each.lost for each in reading.fields)
        for each in reading.fields:
            self._count(each, sample.where)
        lines = [_line(each, reading) for each in reading.fields]
        return Checked(sample.where, reading.report is not None, None, lines, dropped)

    def _read(self, sample: Sample) -> tuple[Reading, list[str]]:
        there = list(dict.fromkeys(leaves(sample.document)))
        self._there.update(there)
        if isinstance(self._reader.mapping, JsonMapping):
            asked: set[str] = set()
            reading = self._reader.read(watched(sample.document, asked))
            return reading, [e for e in there if not {e, e.removesuffix("[]")} & asked]
        named = {name for _, name in self._reader.mapping.names()}
        filled = [name for name, cell in sample.document.items() if cell]
        return self._reader.read(sample.document), [each for each in filled if each not in named]

    def _count(self, read: Field, where: str) -> None:
        totals = self.totals.setdefault(read.name, Totals(read.places))
        problem = read.mistake or read.lost
        if problem:
            totals.unusable += 1
        elif read.made is None:
            totals.missing += 1
        else:
            totals.filled += 1
        said = problem.quoting() if problem else read.doubt
        if said and len(totals.problems) < EXAMPLES:
            totals.problems.append(f"{where}: {said}")

    def never(self) -> list[str]:
        """The mapping's fields that no sample filled, with names that are nearly theirs."""
        found = []
        for name, totals in self.totals.items():
            if not totals.places or totals.filled or totals.unusable:
                continue
            near = [
                match for place in totals.places
                for match in get_close_matches(place, sorted(self._there), 1)
            ]  # fmt: skip
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            found.append(f"{name}: nothing at {', '.join(totals.places)}{hint}")
        return found

    def not_mapped(self) -> list[str]:
        """Fields of ours that the mapping does not speak of."""
        named = {str(".".join(map(str, place))) for place, _ in self._reader.mapping.names()}
        constant = set(self.totals)
        return [
            each for each in OURS
            if each not in constant and not any(name.startswith(each) for name in named)
        ]  # fmt: skip

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "read_by": self._reader.read_by,
            "documents": self.documents,
            "reports": self.reports,
            "unusable": self.unusable,
            "fields": {name: asdict(totals) for name, totals in self.totals.items()},
            "never_filled": self.never(),
            "not_mapped": self.not_mapped(),
            "dropped": dict(self.dropped),
        }


def _line(read: Field, reading: Reading) -> Line:
    problem = read.mistake or read.lost
    return Line(
        read.name,
        read.places,
        read.sent,
        None if read.made is None else _shown(read, reading),
        problem.quoting() if problem else read.doubt,
    )


def _shown(read: Field, reading: Reading) -> str:
    """What a field became, a position also in the datum that areas are looked up in."""
    if read.name == "position" and reading.report and reading.report.position:
        return _position(read.made, reading.report.position.datum)
    if read.name == "reported_at":
        return str(read.made.isoformat())
    return str(read.made)


def _position(point: Mapping[str, float], datum: Datum) -> str:
    latitude, longitude = point["latitude"], point["longitude"]
    longitudes, latitudes = to_wgs84(datum, np.array([longitude]), np.array([latitude]))
    return (
        f"latitude {latitude}, longitude {longitude} in {datum.value}:"
        f" {latitudes[0]:.6f}, {longitudes[0]:.6f} in wgs84"
    )
